//! The members of a record that a caller has asked for, as many vendors let them choose.

use serde_json::{Map, Value};

/// A tree of names; one without branches is a member as a whole.
#[derive(Default)]
pub struct Fields(Vec<(String, Self)>);

impl Fields {
    /// `id,customer.email`
    pub fn dotted(text: &str) -> Self {
        let mut all = Self::default();
        for path in text.split(',').filter(|path| !path.is_empty()) {
            path.split('.').fold(&mut all, |at, name| at.branch(name));
        }
        all
    }

    /// `id,customer[email,address[city]]`, also in brackets as a whole.
    pub fn bracketed(text: &str) -> Self {
        let mut path: Vec<String> = Vec::new();
        let (mut all, mut word) = (Self::default(), String::new());
        let text = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
        for letter in text.chars().chain([',']) {
            if !"[],".contains(letter) {
                word.push(letter);
                continue;
            }
            let name = std::mem::take(&mut word);
            if !name.is_empty() {
                path.iter().chain([&name]).fold(&mut all, |at, name| at.branch(name));
            }
            match letter {
                '[' => path.push(name),
                ']' => drop(path.pop()),
                _ => {}
            }
        }
        all
    }

    fn branch(&mut self, name: &str) -> &mut Self {
        let place = self.0.iter().position(|(known, _)| known == name).unwrap_or_else(|| {
            self.0.push((name.to_owned(), Self::default()));
            self.0.len() - 1
        });
        &mut self.0[place].1
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// The value with these members alone; lists item by item.
    pub fn of(&self, value: &Value) -> Value {
        match value {
            _ if self.0.is_empty() => value.clone(),
            Value::Array(items) => items.iter().map(|item| self.of(item)).collect(),
            Value::Object(members) => {
                let chosen = self.0.iter().filter_map(|(name, below)| Some((name, below.of(members.get(name)?))));
                Value::Object(chosen.map(|(name, value)| (name.clone(), value)).collect::<Map<_, _>>())
            }
            _ => value.clone(),
        }
    }
}
