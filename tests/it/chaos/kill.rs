//! kill -9 at any moment: no acknowledged ticket is lost, none is doubled.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};

use crate::support::{Client, Era, Setup};

const RUNS: u32 = 200;
const SENDERS: u32 = 6;

/// What was asked for in one run: subjects, and the ticket id if there was an answer.
type Asked = BTreeMap<String, Option<String>>;

async fn try_open(client: &Client, subject: &str) -> Option<Value> {
    let arguments = json!({ "subject": subject, "description": "Under load." });
    let params = json!({ "name": "create_ticket", "arguments": arguments });
    let response = client.try_request(Era::Legacy, "tools/call", params).await?;
    let content = response.json()["result"]["structuredContent"].clone();
    assert!(content["ticket_id"].is_string(), "{content}");
    Some(content)
}

/// Sends until the server is gone.
async fn send_until_gone(client: Client, run: u32, sender: u32) -> Asked {
    let mut asked = Asked::new();
    for n in 0.. {
        let subject = format!("run {run} sender {sender} request {n}");
        let answer = try_open(&client, &subject).await;
        let id = answer.as_ref().and_then(|content| content["ticket_id"].as_str()).map(str::to_owned);
        let gone = id.is_none();
        asked.insert(subject, id);
        if gone {
            break;
        }
    }
    asked
}

#[tokio::test]
async fn killed_at_a_random_moment_it_loses_no_ticket_and_doubles_none() {
    let setup = Setup::ada();
    let mut all = Asked::new();
    let mut server = setup.serve();
    for run in 0..RUNS {
        // A different moment in every run, over the first milliseconds of load.
        let moment = Duration::from_micros(200 + u64::from(run) * 7919 % 25_000);
        let asked = {
            let senders: Vec<_> =
                (0..SENDERS).map(|sender| tokio::spawn(send_until_gone(server.client(), run, sender))).collect();
            tokio::time::sleep(moment).await;
            server.kill_9();
            let mut asked = Asked::new();
            for sender in senders {
                asked.extend(sender.await.unwrap());
            }
            asked
        };
        server = setup.serve();
        // The agent asks again for what it had no answer to, and to be sure also for the rest.
        for (subject, id) in &asked {
            let content = try_open(&server.client(), subject).await.unwrap();
            if let Some(id) = id {
                assert_eq!((&content["ticket_id"], &content["created"]), (&json!(id), &json!(false)), "{subject}");
            }
            all.insert(subject.clone(), content["ticket_id"].as_str().map(str::to_owned));
        }
    }
    let connection = rusqlite::Connection::open(setup.store()).unwrap();
    let mut tickets = connection.prepare("SELECT subject, 'T-' || (n + 1000) FROM tickets ORDER BY subject").unwrap();
    let rows = tickets.query_map([], |row| Ok((row.get::<_, String>(0)?, Some(row.get::<_, String>(1)?)))).unwrap();
    let stored: Vec<_> = rows.collect::<Result<_, _>>().unwrap();
    assert_eq!(
        stored,
        all.into_iter().collect::<Vec<_>>(),
        "one ticket for every request, and the one that was answered"
    );
    assert!(stored.len() > RUNS as usize, "the load was real");
}
