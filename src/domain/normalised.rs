//! Cleans the texts of records that come from other systems, as `domain::text` describes. Ids are not changed.

use std::borrow::Cow;

use super::{
    Article, ConversationDetails, Event, Order,
    text::{line, lines},
};

impl Order {
    /// Cleans all texts, which people and models read.
    pub fn normalised(mut self) -> Self {
        clean_all(&mut self.status_detail, line);
        for parcel in &mut self.tracking {
            clean_all(&mut parcel.carrier, line);
            clean_all(&mut parcel.number, line);
        }
        for item in &mut self.items {
            clean(&mut item.name, line);
            clean_all(&mut item.sku, line);
        }
        if let Some(place) = &mut self.ship_to {
            clean_all(&mut place.city, line);
            clean_all(&mut place.country, line);
        }
        self
    }
}

impl Article {
    /// Cleans title and body.
    pub fn normalised(mut self) -> Self {
        clean(&mut self.title, line);
        clean(&mut self.body, lines);
        self
    }
}

impl Event {
    /// Cleans all texts by customers, assistants and editors.
    pub fn normalised(mut self) -> Self {
        match &mut self {
            Self::Escalated(escalation) => {
                details(&mut escalation.details);
                clean(&mut escalation.reason, line);
            }
            Self::Ended(ended) => details(&mut ended.details),
            Self::Article(state) => {
                if let Some(content) = &mut state.content {
                    clean(&mut content.title, line);
                    clean(&mut content.body, lines);
                }
            }
        }
        self
    }
}

fn details(details: &mut ConversationDetails) {
    clean_all(&mut details.name, line);
    clean_all(&mut details.intent, line);
    for message in &mut details.messages {
        clean(&mut message.text, lines);
    }
}

fn clean(text: &mut String, how: impl Fn(&str) -> Cow<'_, str>) {
    if let Cow::Owned(clean) = how(text) {
        *text = clean;
    }
}

/// Cleans an optional text; a blank result becomes None.
fn clean_all(text: &mut Option<String>, how: impl Fn(&str) -> Cow<'_, str>) {
    if let Some(some) = text {
        clean(some, how);
        if some.trim().is_empty() {
            *text = None;
        }
    }
}
