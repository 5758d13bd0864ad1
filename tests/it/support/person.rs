//! Somebody at the console, by HTTP: with cookies and forms, and without a browser.

use std::{collections::BTreeMap, path::Path};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method, header};
use serde_json::Value;

use super::{Client, Response, Server, frontdesk, stderr};

/// A person with the cookies of a browser.
#[derive(Clone)]
pub struct Person {
    /// The address of operations.
    pub base: String,
    pub cookies: BTreeMap<String, String>,
    /// Sent with every request, over what a browser would send.
    headers: HeaderMap,
}

impl Server {
    /// Somebody who is not signed in.
    pub fn stranger(&self) -> Person {
        Person { base: self.operations.clone(), cookies: BTreeMap::new(), headers: HeaderMap::new() }
    }

    /// Somebody who is signed in.
    pub async fn person(&self, directory: &Path, name: &str, role: &str) -> Person {
        let mut person = self.stranger();
        let answer = person.sign_in(&link(directory, &self.operations, name, role)).await;
        assert_eq!(answer.status, 303, "{answer:?}");
        person
    }
}

/// A link to sign in, as `frontdesk console login` prints it.
pub fn link(directory: &Path, base: &str, name: &str, role: &str) -> String {
    let printed = frontdesk(directory, &["console", "login", "--as", name, "--role", role, "--url", base, "--json"]);
    assert!(printed.status.success(), "{}", stderr(&printed));
    let printed: Value = serde_json::from_slice(&printed.stdout).unwrap();
    printed["url"].as_str().unwrap().to_owned()
}

impl Person {
    pub fn with_header(mut self, name: HeaderName, value: &str) -> Self {
        self.headers.insert(name, value.parse().unwrap());
        self
    }

    pub async fn get(&mut self, path: &str) -> Response {
        self.send(Method::GET, path, &[]).await
    }

    /// A form as a page of the console would send it, without its token.
    pub async fn post_bare(&mut self, path: &str, form: &[(&str, &str)]) -> Response {
        self.send(Method::POST, path, form).await
    }

    /// A form of a page that was loaded before.
    pub async fn post(&mut self, path: &str, form: &[(&str, &str)]) -> Response {
        let csrf = self.csrf().await;
        let form: Vec<(&str, &str)> = [("csrf", csrf.as_str())].into_iter().chain(form.iter().copied()).collect();
        self.send(Method::POST, path, &form).await
    }

    pub async fn csrf(&mut self) -> String {
        let page = self.get("/console/people").await;
        member(&page.page(), "name=\"csrf\" value=\"").unwrap_or_default()
    }

    /// Follows the link and presses its button.
    pub async fn sign_in(&mut self, link: &str) -> Response {
        let path = link.strip_prefix(&self.base).unwrap_or(link).to_owned();
        let asked = self.get(&path).await;
        if asked.status != 200 {
            return asked;
        }
        let token = member(&asked.page(), "name=\"token\" value=\"").unwrap_or_default();
        self.post_bare("/console/login/link", &[("token", &token)]).await
    }

    async fn send(&mut self, method: Method, path: &str, form: &[(&str, &str)]) -> Response {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, "application/x-www-form-urlencoded".parse().unwrap());
        headers.insert(header::ACCEPT, "text/html".parse().unwrap());
        if method == Method::POST {
            headers.insert(header::ORIGIN, self.base.parse().unwrap());
        }
        let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if !cookies.is_empty() {
            headers.insert(header::COOKIE, cookies.join("; ").parse().unwrap());
        }
        headers.extend(self.headers.clone());
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let client = Client::new(&self.base).at(format!("{}{path}", self.base));
        let response = client.send(method, headers, Bytes::from(body)).await.expect("an answer");
        for cookie in response.headers.get_all(header::SET_COOKIE) {
            let cookie = cookie.to_str().unwrap();
            let (name, value) = cookie.split(';').next().and_then(|pair| pair.split_once('=')).unwrap();
            match cookie.contains("Max-Age=0") {
                true => drop(self.cookies.remove(name)),
                false => drop(self.cookies.insert(name.to_owned(), value.to_owned())),
            }
        }
        response
    }
}

impl Response {
    pub fn page(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn location(&self) -> &str {
        self.headers.get(header::LOCATION).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// What stands after `before`, up to the next quotation mark.
pub fn member(page: &str, before: &str) -> Option<String> {
    page.split_once(before)?.1.split_once('"').map(|(value, _)| value.to_owned())
}
