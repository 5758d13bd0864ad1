//! What strangers can do: guess, ask for many codes, find out which addresses are known. And what they cannot.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::sender::{Agent, codes, gateway, shown, wrong};
use crate::{
    identity::context,
    support::{Answer, Setup, Vendor, is_error, rows, text},
};

const VICTIM: &str = "guest@example.com";

fn visitor(conversation: &str) -> Value {
    let mut claims = context::claims();
    claims["sub"] = "visitor".into();
    claims["lvl"] = "anonymous".into();
    claims["cid"] = conversation.into();
    claims
}

/// An answer without what is different in every one: the handle.
fn bytes(answer: &Value) -> String {
    let text = answer.to_string();
    let Some(handle) = answer["structuredContent"]["verification"].as_str() else { return text };
    assert_eq!((handle.len(), &handle[..4]), (36, "fdv_"));
    text.replace(handle, "HANDLE")
}

#[tokio::test]
async fn known_and_unknown_addresses_get_the_same_bytes_and_the_same_requests() {
    let gateway = gateway();
    let shop = Vendor::always(Answer::text(404, ""));
    let setup = Setup::context(context::SECRET).codes_by(&gateway, "address_per_hour = 0");
    let setup = setup.shop(&["orders", "helpdesk", "crm"], &shop);
    let server = setup.serve();
    let agent = Agent::new(&server);
    let mut answers = BTreeSet::new();
    // An order's, a contact's, nobody's, and one whose host there cannot be.
    let addresses = [VICTIM, "ada@example.com", "nobody@example.com", "x@no.invalid"];
    for address in addresses {
        answers.insert(bytes(&agent.send(json!({ "email": address })).await));
        codes(&gateway, address, 1).await;
    }
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(gateway.count("POST"), addresses.len(), "one request to the gateway for each");
    assert_eq!(shop.seen().len(), 0, "nothing is looked up");
    // Neither does a wrong code tell anything.
    let mut answers = BTreeSet::new();
    for (n, address) in ["ada@example.com", "nobody@example.com"].into_iter().enumerate() {
        let handle = agent.handle(address).await;
        let code = codes(&gateway, address, 2).await.pop().unwrap();
        answers.insert(bytes(&agent.check(&wrong(&code), Some(&handle)).await));
        assert_eq!(shop.seen().len(), 0, "{n}");
    }
    assert_eq!(answers.len(), 1, "{answers:?}");
}

#[tokio::test]
async fn a_code_can_be_tried_five_times_however_fast() {
    let gateway = gateway();
    let setup = Setup::context(context::SECRET).codes_by(&gateway, "");
    let server = setup.serve();
    let agent = Agent::new(&server);
    let handle = agent.handle(VICTIM).await;
    let code = codes(&gateway, VICTIM, 1).await.remove(0);
    let tries = (0..40).map(|n| {
        let (client, handle) = (server.client(), handle.clone());
        let guess = format!("{:06}", (code.parse::<u32>().unwrap() + 1 + n) % 1_000_000);
        tokio::spawn(async move { Agent(client).check(&guess, Some(&handle)).await })
    });
    let mut counted: Vec<String> = Vec::new();
    for tried in tries.collect::<Vec<_>>() {
        let answer = tried.await.unwrap();
        assert!(is_error(&answer));
        let said = text(&answer).to_owned();
        counted.extend(said.contains("The code is wrong").then_some(said));
    }
    counted.sort();
    assert_eq!(counted.len(), 5, "{counted:?}");
    assert_eq!(counted.iter().filter(|said| said.contains("this was the last try")).count(), 1, "{counted:?}");
    let late = agent.check(&code, Some(&handle)).await;
    assert!(is_error(&late) && text(&late).contains("it was tried too often"), "the right one comes too late: {late}");
    // What is no code costs no try.
    let handle = agent.handle(VICTIM).await;
    let code = codes(&gateway, VICTIM, 2).await.pop().unwrap();
    for garbage in ["", "12345", "abcdef", "1234567"] {
        assert!(is_error(&agent.check(garbage, Some(&handle)).await));
    }
    for _ in 0..4 {
        assert!(is_error(&agent.check(&wrong(&code), Some(&handle)).await));
    }
    assert!(!is_error(&agent.check(&code, Some(&handle)).await));
}

#[tokio::test]
async fn what_a_limit_keeps_back_sounds_like_what_was_sent() {
    let gateway = gateway();
    let setup = Setup::context(context::SECRET).codes_by(&gateway, "conversation_per_hour = 2\naddress_per_hour = 4");
    let server = setup.serve();
    let agent = Agent::with_context(&server, &visitor("conv_a"));
    let mut answers = BTreeSet::new();
    for _ in 0..5 {
        answers.insert(bytes(&agent.send(json!({ "email": VICTIM })).await));
    }
    assert_eq!(answers.len(), 1, "{answers:?}");
    let sent = codes(&gateway, VICTIM, 2).await;
    // The newest that was sent is still the one that counts.
    let first = agent.check(&sent[0], None).await;
    assert!(is_error(&first) && text(&first).contains("4 tries are left"), "replaced by the second: {first}");
    assert!(!is_error(&agent.check(&sent[1], None).await));
    assert_eq!(gateway.count("POST"), 2);
    // Nor does the check after it tell that nothing was sent: a code is wrong, as it would be otherwise.
    let kept_back = agent.send(json!({ "email": "new@example.com" })).await;
    assert!(answers.contains(&bytes(&kept_back)));
    let guess = agent.check("123456", None).await;
    assert!(text(&guess).contains("4 tries are left"), "{guess}");
    assert_eq!(gateway.count("POST"), 2);
    // Without a context each call without a handle is a conversation of its own; its address is limited all the same.
    let stranger = Agent::new(&server);
    let mut answers = BTreeSet::new();
    for _ in 0..8 {
        answers.insert(bytes(&stranger.send(json!({ "email": "bombed@example.com" })).await));
    }
    assert_eq!(answers.len(), 1, "{answers:?}");
    codes(&gateway, "bombed@example.com", 4).await;
    stranger.prove(&gateway, "another@example.com").await;
    assert_eq!(codes(&gateway, "bombed@example.com", 4).await.len(), 4);
    assert!(server.terminate().0.success());
    let verdicts = rows(
        &setup.store(),
        "SELECT verdict || ' ' || count(*) FROM audit WHERE tool = 'send_verification_code' GROUP BY verdict",
    );
    assert_eq!(verdicts, ["code_limited 8", "code_sent 7"]);
}

#[tokio::test]
async fn a_stranger_does_not_lock_a_victim_out() {
    let gateway = gateway();
    let setup = Setup::context(context::SECRET).codes_by(&gateway, "address_per_hour = 3");
    let server = setup.serve();
    let (stranger, victim) = (Agent::new(&server), Agent::new(&server));
    // The victim's code is under way.
    let handle = victim.handle(VICTIM).await;
    let code = codes(&gateway, VICTIM, 1).await.remove(0);
    // A stranger asks for codes to the victim's address, and tries them, in conversations of their own.
    for _ in 0..10 {
        let own = stranger.handle(VICTIM).await;
        for guess in ["000000", "111111", "222222", "333333", "444444"] {
            if guess != code {
                assert!(is_error(&stranger.check(guess, Some(&own)).await));
            }
        }
    }
    assert!(!is_error(&victim.check(&code, Some(&handle)).await), "the code under way is as good as before");
    assert!(shown(&victim.order("3001", Some(&handle)).await));
    // Whose conversation a backend names is counted apart from those who come without.
    let known = Agent::with_context(&server, &visitor("conv_v"));
    let before = codes(&gateway, VICTIM, 3).await.len();
    known.send(json!({ "email": VICTIM })).await;
    let code = codes(&gateway, VICTIM, before + 1).await.pop().unwrap();
    assert!(!is_error(&known.check(&code, None).await));
}

#[tokio::test]
async fn an_address_that_there_cannot_be_is_refused_and_never_sounds_like_success() {
    let gateway = gateway();
    let setup = Setup::context(context::SECRET).codes_by(&gateway, "");
    let server = setup.serve();
    let agent = Agent::new(&server);
    let long = format!("{}@x.com", "a".repeat(70));
    let mut answers = BTreeSet::new();
    for impossible in [
        "<a@b.c>",
        "a..b@x.com",
        ".a@x.com",
        "a@x..com",
        &long,
        "mailto:a@x.com",
        "a@-b.com",
        "a@b",
        "guest@example.com.",
        "a\"b@no.example",
        "guest",
    ] {
        let refused = server.plain().call("send_verification_code", json!({ "email": impossible })).await;
        assert_eq!(refused.json()["code"], "invalid_arguments", "{impossible}: {refused:?}");
        answers.insert(refused.body);
    }
    assert_eq!(answers.len(), 1, "the same for each, known or not");
    // A context's own address is judged alike.
    let mut claims = context::claims();
    claims["email"] = "ada@localhost".into();
    let none = Agent::with_context(&server, &claims).call("send_verification_code", json!({})).await;
    assert!(is_error(&none) && text(&none).contains("No address of this customer is known"), "{none}");
    agent.prove(&gateway, "o'neil+x@shop.example").await;
    assert_eq!(gateway.count("POST"), 1);
}

#[tokio::test]
async fn who_is_known_less_uses_up_nothing_of_who_is_known_better() {
    let gateway = gateway();
    let setup = Setup::context(context::SECRET)
        .codes_by(&gateway, "agent_per_hour = 4\naddress_per_hour = 2\nconversation_per_hour = 3");
    let server = setup.serve();
    let sent = async |agent: &Agent, address: &str| {
        let before = gateway.count("POST");
        agent.send(json!({ "email": address })).await;
        // What is sent leaves at once.
        tokio::time::sleep(std::time::Duration::from_millis(150)).await;
        gateway.count("POST") - before == 1
    };
    // Somebody without a context uses up the codes of all others without one at this agent, and nobody else's.
    let stranger = Agent::new(&server);
    for n in 0..4 {
        assert!(sent(&stranger, &format!("a{n}@example.com")).await);
    }
    assert!(!sent(&stranger, "b@example.com").await, "agent_per_hour");
    // Visitors whom a backend names use up the address for one another, and not for its owner.
    for conversation in ["conv_a", "conv_b"] {
        assert!(sent(&Agent::with_context(&server, &visitor(conversation)), "ada@example.com").await);
    }
    assert!(!sent(&Agent::with_context(&server, &visitor("conv_c")), "ada@example.com").await, "address_per_hour");
    let mut claims = context::claims();
    claims.as_object_mut().unwrap().remove("cid");
    let ada = Agent::with_context(&server, &claims);
    for n in 0..3 {
        assert!(sent(&ada, "ada@example.com").await, "{n}: her context proves that it is hers");
    }
    // Without a `cid` it is the customer whose codes are counted, with or without a handle.
    assert!(!sent(&ada, "ada@example.com").await, "conversation_per_hour");
    let (_, log) = server.terminate();
    for limit in ["agent_per_hour", "address_per_hour", "conversation_per_hour"] {
        assert_eq!(log.matches(&format!("it is over verification.{limit}")).count(), 1, "{limit}: {log}");
    }
    let limits = "SELECT objects FROM audit WHERE verdict = 'code_limited' ORDER BY id";
    assert_eq!(
        rows(&setup.store(), limits),
        [r#"["limit:agent"]"#, r#"["limit:address"]"#, r#"["limit:conversation"]"#]
    );
}

#[tokio::test]
async fn one_who_guesses_is_told_from_many_who_mistype() {
    let gateway = gateway();
    let setup = Setup::context(context::SECRET).codes_by(&gateway, "");
    let server = setup.serve();
    let agent = Agent::new(&server);
    let guessed = agent.handle(VICTIM).await;
    let code = codes(&gateway, VICTIM, 1).await.remove(0);
    for _ in 0..3 {
        agent.check(&wrong(&code), Some(&guessed)).await;
    }
    let proven = agent.prove(&gateway, "other@example.com").await;
    agent.order("3001", Some(&proven)).await;
    agent.order("3001", Some(&guessed)).await;
    server.terminate();
    let of = |what: &str| {
        rows(&setup.store(), &format!("SELECT DISTINCT conversation FROM audit WHERE {what} ORDER BY conversation"))
    };
    let guesser = of("verdict = 'code_wrong'");
    assert!(guesser.len() == 1 && guesser[0].len() == 17 && guesser[0].starts_with("code:"), "{guesser:?}");
    assert_eq!(of("verdict = 'step_up'"), guesser);
    // Every call of a conversation has the same name, also after the code was right.
    assert_eq!(of("verdict = 'code_right'"), of("tool = 'lookup_order' AND verdict <> 'step_up'"));
    assert_eq!(of("1").len(), 2);
}

#[tokio::test]
async fn one_agent_does_not_ask_for_codes_without_end() {
    let gateway = gateway();
    let setup = Setup::context(context::SECRET).codes_by(&gateway, "agent_per_hour = 5\naddress_per_hour = 0");
    let server = setup.serve();
    let agent = Agent::new(&server);
    for n in 0..9 {
        agent.send(json!({ "email": format!("a{n}@example.com") })).await;
    }
    codes(&gateway, "a4@example.com", 1).await;
    assert_eq!(gateway.count("POST"), 5);
}
