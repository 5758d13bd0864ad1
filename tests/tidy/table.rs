//! The section "Rooms" of ARCHITECTURE.md: which room may import which.

/// What the section says.
pub struct Table {
    pub rows: Vec<Row>,
    /// Rooms that every other may import.
    pub open: Vec<String>,
    /// What is wrong with the section itself.
    pub faults: Vec<String>,
}

/// One row. A nested folder with a row of its own is judged by that row.
pub struct Row {
    /// As `http`, or `identity/agents`.
    pub room: String,
    pub may_import: Vec<String>,
}

impl Table {
    /// Reads the table under "## Rooms", and the sentence "Everybody may import … and …."
    pub fn read(markdown: &str) -> Self {
        let section = markdown.split("\n## ").find(|section| section.starts_with("Rooms\n")).unwrap_or_default();
        let mut table = Self { rows: Vec::new(), open: Vec::new(), faults: Vec::new() };
        for line in section.lines().filter(|line| line.starts_with("| `")) {
            match line.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>()[..] {
                [names, _, imports] => table.rows.push(Row::read(names, imports)),
                _ => table.faults.push(format!("ARCHITECTURE.md: not three cells: {line}")),
            }
        }
        let sentence = section.split("Everybody may import ").nth(1).and_then(|rest| rest.split('.').next());
        table.open.extend(sentence.into_iter().flat_map(|rooms| rooms.split(" and ")).map(str::to_owned));
        let is_room = |name: &String| table.rows.iter().any(|row| row.room == *name);
        let unknown =
            table.rows.iter().flat_map(|row| &row.may_import).chain(&table.open).filter(|name| !is_room(name));
        let unknown: Vec<String> = unknown.map(|name| format!("ARCHITECTURE.md: {name:?} is no room")).collect();
        table.faults.extend(unknown);
        if table.rows.is_empty() {
            table.faults.push("ARCHITECTURE.md has no table under \"## Rooms\"".to_owned());
        }
        table
    }

    /// The row that a file below `src/` is judged by: the longest that fits.
    pub fn row_of(&self, file: &str) -> Option<&Row> {
        let file = file.trim_end_matches(".rs").trim_end_matches("/mod");
        let fits =
            |row: &&Row| file.strip_prefix(&row.room).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        self.rows.iter().filter(fits).max_by_key(|row| row.room.len())
    }

    /// The rooms, without the folders in them that have rows of their own.
    pub fn rooms(&self) -> Vec<String> {
        self.rows.iter().map(|row| row.room.clone()).filter(|room| !room.contains('/')).collect()
    }
}

impl Row {
    /// `names` as `` `app.rs`, `app/` ``: the first of them.
    fn read(names: &str, imports: &str) -> Self {
        let may_import = match imports {
            "nothing of ours" => Vec::new(),
            list => list.split(',').map(|room| room.trim().to_owned()).collect(),
        };
        let name = names.split(',').next().unwrap_or_default().trim().trim_matches('`');
        Self { room: name.trim_end_matches('/').trim_end_matches(".rs").to_owned(), may_import }
    }
}
