//! `frontdesk tail`: what happens, in whichever process, as lines.

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    support::{Era, Setup, command, frontdesk, settled, stdout},
    webhooks::inbox_ops::{escalated, post, with_webhooks},
};

#[tokio::test]
async fn what_happens_is_a_line_at_once_and_the_last_ones_come_first() {
    let setup = with_webhooks(Setup::ada(), "");
    let server = setup.serve();
    let look_up = async |order: &str| {
        server.client().call(Era::Modern, "lookup_order", json!({ "order_id": order })).await;
    };
    look_up("1001").await;
    let mut tail =
        command(setup.path()).args(["tail", "-n", "1"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let (told, lines) = std::sync::mpsc::channel();
    let printed = BufReader::new(tail.stdout.take().unwrap());
    std::thread::spawn(move || printed.lines().map_while(Result::ok).try_for_each(|line| told.send(line)));
    let next = || lines.recv_timeout(Duration::from_secs(20)).expect("a line");
    let first = next();
    assert!(first.contains("lookup_order") && first.ends_with("order:1001"), "{first}");
    look_up("2001").await;
    let denied = next();
    assert!(denied.contains("foreign") && denied.contains("order:2001"), "{denied}");
    assert_eq!(post(&server.url, "escalation", &escalated("conv_1")).await, 200);
    settled(&setup.store()).await;
    let mut of_event = Vec::new();
    while !of_event.iter().any(|line: &String| line.contains("done") && line.contains("event:1 ticket:T-1001")) {
        of_event.push(next());
    }
    assert!(
        of_event.iter().any(|line| line.contains("conversation.escalated") && line.contains("allowed")),
        "{of_event:?}"
    );
    let process = rustix::process::Pid::from_raw(tail.id().cast_signed()).unwrap();
    rustix::process::kill_process(process, rustix::process::Signal::INT).unwrap();
    assert!(tail.wait().unwrap().success());
    // As JSON, filtered, and without following.
    let of = |arguments: &[&str]| {
        let all: Vec<&str> = ["tail", "--no-follow", "--json"].into_iter().chain(arguments.iter().copied()).collect();
        let printed = stdout(&frontdesk(setup.path(), &all));
        printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>()
    };
    let foreign = of(&["--verdict", "foreign"]);
    assert_eq!(foreign.len(), 1);
    assert_eq!(foreign[0]["decision"]["objects"], json!(["order:2001"]));
    let conversation = of(&["--conversation", "conv_1"]);
    assert_eq!(conversation.last().unwrap()["event"]["state"], "done");
    assert!(conversation.iter().all(|line| !line.to_string().contains("2001")), "{conversation:?}");
    assert_eq!(of(&["-n", "0"]), [Value::Null; 0]);
}
