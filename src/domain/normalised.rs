//! Records whose texts come from elsewhere, with what nobody can see taken out (`domain::text`). Ids stay as they are.

use std::borrow::Cow;

use super::{
    Article, Event, Order, Talk,
    text::{line, lines},
};

impl Order {
    /// With readable texts: what a shop or a vendor wrote goes to people and to models.
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
    /// With readable texts.
    pub fn normalised(mut self) -> Self {
        clean(&mut self.title, line);
        clean(&mut self.body, lines);
        self
    }
}

impl Event {
    /// With readable texts: what customers, assistants and editors wrote.
    pub fn normalised(mut self) -> Self {
        match &mut self {
            Self::Escalated(escalation) => {
                talk(&mut escalation.talk);
                clean(&mut escalation.reason, line);
            }
            Self::Ended(ended) => talk(&mut ended.talk),
            Self::ArticlePublished(text) | Self::ArticleUpdated(text) => {
                clean(&mut text.title, line);
                clean(&mut text.body, lines);
            }
            Self::ArticleUnpublished { .. } => {}
        }
        self
    }
}

fn talk(talk: &mut Talk) {
    clean_all(&mut talk.name, line);
    clean_all(&mut talk.intent, line);
    for message in &mut talk.messages {
        clean(&mut message.text, lines);
    }
}

fn clean(text: &mut String, how: impl Fn(&str) -> Cow<'_, str>) {
    if let Cow::Owned(clean) = how(text) {
        *text = clean;
    }
}

/// Text of which nothing is left is absent.
fn clean_all(text: &mut Option<String>, how: impl Fn(&str) -> Cow<'_, str>) {
    if let Some(some) = text {
        clean(some, how);
        if some.trim().is_empty() {
            *text = None;
        }
    }
}
