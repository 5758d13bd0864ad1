//! Signal handling. SIGTERM and Ctrl-C stop gracefully, a second one ends at once. SIGHUP reloads a server and stops
//! other commands.

use std::{future::Future, io::IsTerminal};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
};

use crate::{
    config::{self, Loaded, Overrides},
    telemetry::causes,
};

/// Exit status after Ctrl-C (128 + SIGINT).
const INTERRUPTED: i32 = 130;

/// Resolves at SIGTERM, Ctrl-C or SIGHUP.
pub(super) fn stop() -> anyhow::Result<impl Future<Output = ()> + Send + 'static> {
    let mut hangup = signal(SignalKind::hangup())?;
    stop_or(async move {
        hangup.recv().await;
    })
}

/// Resolves at SIGTERM, Ctrl-C, or when `gone` does. A signal after that ends the process at once.
fn stop_or(
    gone: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<impl Future<Output = ()> + Send + 'static> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            () = either(&mut terminate, &mut interrupt) => {}
            () = gone => {}
        }
        tracing::info!("stopping: running calls are completed; a second signal ends at once");
        tokio::spawn(async move {
            either(&mut terminate, &mut interrupt).await;
            tracing::warn!(
                "ended at once by a second signal; running effects are in doubt until a repeat settles them"
            );
            std::process::exit(INTERRUPTED);
        });
    })
}

async fn either(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// For a server: a future that resolves when it has to stop, and the configurations loaded at SIGHUP. A closed terminal
/// also sends SIGHUP, and stops the server that was started in it.
pub(super) fn stop_and_reload(
    overrides: Overrides,
) -> anyhow::Result<(impl Future<Output = ()> + Send + 'static, mpsc::Receiver<Loaded>)> {
    let mut hangup = signal(SignalKind::hangup())?;
    let has_terminal = || std::io::stdin().is_terminal() || std::io::stderr().is_terminal();
    let started_in_one = has_terminal();
    let (send, reloads) = mpsc::channel(1);
    let gone = async move {
        while hangup.recv().await.is_some() {
            if started_in_one && !has_terminal() {
                tracing::info!("the terminal was closed");
                return;
            }
            match config::load(&overrides) {
                Ok(loaded) => {
                    loaded.warn();
                    let _ = send.send(loaded).await;
                }
                Err(error) => {
                    tracing::error!(
                        error = causes(&error),
                        "not reloaded; the previous configuration stays in effect (frontdesk check \
                        --running names all faults)"
                    );
                }
            }
        }
        std::future::pending::<()>().await;
    };
    Ok((stop_or(gone)?, reloads))
}
