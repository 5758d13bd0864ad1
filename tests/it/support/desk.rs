//! The one place where tests build a desk by hand: on the embedded store, with the ports that a test puts in its place.

use std::sync::Arc;

use frontdesk::{
    desk::{Desk, Helpdesk, Options, OrderSystem, Ports},
    domain::Clock,
    limits,
    store::Store,
};

pub fn desk(store: &Store, orders: Arc<dyn OrderSystem>, helpdesk: Arc<dyn Helpdesk>) -> Arc<Desk> {
    desk_with(store, orders, helpdesk, Options::default())
}

pub fn desk_with(
    store: &Store,
    orders: Arc<dyn OrderSystem>,
    helpdesk: Arc<dyn Helpdesk>,
    options: Options,
) -> Arc<Desk> {
    let embedded = Arc::new(store.clone());
    let ports = Ports {
        orders,
        helpdesk,
        crm: embedded.clone(),
        knowledge: embedded.clone(),
        changes: embedded.clone(),
        ledger: embedded.clone(),
        audit: embedded.clone(),
        locks: embedded,
        requests: None,
        mirrors: Vec::new(),
        verifications: None,
    };
    Arc::new(Desk::new(ports, options, Default::default(), &limits::Options::none(), Clock::system()))
}
