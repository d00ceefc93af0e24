//! The audits of a GraphQL server over HTTP, all 61 of `serverAudits` of the npm package
//! `graphql-http` 1.22, as a table: so that they run where there is no Node. `clients` runs the
//! originals where there is.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::support::TestApp;

const GRAPHQL: &str = "application/graphql-response+json";
const JSON: &str = "application/json";

/// What is asked.
struct Ask {
    accept: Option<&'static str>,
    content_type: Option<&'static str>,
    /// The text of the body of a POST; of a GET, its parameters.
    what: What,
}

enum What {
    Post(Option<String>),
    Get(Vec<(&'static str, String)>),
}

/// What must be answered.
enum Must {
    /// This status.
    Be(u16),
    /// This status, and this media type.
    BeOf(u16, &'static str),
    /// This status, and no errors.
    Succeed,
    /// A status in this range.
    LieIn(u16, u16),
    /// No entry `data`.
    HaveNoData,
}

type Audit = (String, Ask, Must);

fn post(accept: Option<&'static str>, body: &Value) -> Ask {
    Ask {
        accept,
        content_type: Some(JSON),
        what: What::Post(Some(body.to_string())),
    }
}

fn get(accept: Option<&'static str>, parameters: Vec<(&'static str, String)>) -> Ask {
    Ask {
        accept,
        content_type: None,
        what: What::Get(parameters),
    }
}

fn text(accept: Option<&'static str>, content_type: Option<&'static str>, text: &str) -> Ask {
    Ask {
        accept,
        content_type,
        what: What::Post((!text.is_empty()).then(|| text.to_owned())),
    }
}

/// Media types, methods and bodies.
fn of_the_carrier() -> Vec<Audit> {
    let typename = json!({"query": "{ __typename }"});
    let swim = json!({"query": "{ __type(name: \"Run🏃Swim🏊\") { name } }"});
    let one = |id: &str, ask, must| (id.to_owned(), ask, must);
    vec![
        one(
            "22EB",
            post(Some(GRAPHQL), &typename),
            Must::BeOf(200, GRAPHQL),
        ),
        one("4655", post(Some(JSON), &typename), Must::BeOf(200, JSON)),
        one("47DE", post(Some("*/*"), &typename), Must::BeOf(200, JSON)),
        one("80D8", post(None, &typename), Must::BeOf(200, JSON)),
        one("82A3", post(None, &typename), Must::Be(200)),
        one(
            "BF61",
            text(
                None,
                Some("application/json; charset=utf-8"),
                &swim.to_string(),
            ),
            Must::Be(200),
        ),
        one("78D5", post(None, &typename), Must::Be(200)),
        one("2C94", post(None, &typename), Must::Be(200)),
        one(
            "5A70",
            get(None, vec![("query", "{ __typename }".into())]),
            Must::Be(200),
        ),
        one(
            "9C48",
            get(
                Some(GRAPHQL),
                vec![("query", "mutation { __typename }".into())],
            ),
            Must::LieIn(400, 499),
        ),
        one(
            "9ABE",
            text(
                None,
                Some("text/plain;charset=UTF-8"),
                &typename.to_string(),
            ),
            Must::LieIn(400, 499),
        ),
        one(
            "9ABE without",
            text(None, None, &typename.to_string()),
            Must::LieIn(400, 499),
        ),
        one("03D4", post(None, &typename), Must::Be(200)),
        one("A5BF", text(None, Some(JSON), ""), Must::Be(400)),
        one(
            "B6DC",
            text(Some(JSON), Some(JSON), "{ \"not a JSON"),
            Must::LieIn(200, 599),
        ),
        one(
            "BCF8",
            text(Some(JSON), Some(JSON), "{ \"not a JSON"),
            Must::Be(400),
        ),
        one(
            "B7N8",
            text(Some(GRAPHQL), Some(JSON), "{ \"not a JSON"),
            Must::Be(400),
        ),
    ]
}

/// Parameters that are what they must be, and that are not.
fn of_the_parameters() -> Vec<Audit> {
    let one = |id: &str, ask, must| (id.to_owned(), ask, must);
    let typo = json!({"qeury": "{ __typename }"});
    let mut all = vec![
        one(
            "423L",
            post(Some(GRAPHQL), &json!({"notquery": "{ __typename }"})),
            Must::Be(400),
        ),
        one("8764", post(None, &typo), Must::LieIn(400, 599)),
        one("3E3A", post(None, &typo), Must::Be(400)),
    ];
    let no_text = [
        json!({"obj": "ect"}),
        json!(0),
        json!(false),
        json!(["array"]),
    ];
    let no_map = [json!("string"), json!(0), json!(false), json!(["array"])];
    for (at, wrong) in no_text.iter().enumerate() {
        all.push((
            format!("LKJ{at}"),
            post(None, &json!({"query": wrong})),
            Must::Be(400),
        ));
        let body = json!({"operationName": wrong, "query": "{ __typename }"});
        all.push((format!("6C0{at}"), post(None, &body), Must::Be(400)));
    }
    for (at, wrong) in no_map.iter().enumerate() {
        for (id, name) in [("476", "variables"), ("58B", "extensions")] {
            let body = json!({"query": "{ __typename }", name: wrong});
            all.push((format!("{id}{at}"), post(None, &body), Must::Be(400)));
        }
    }
    for (at, name) in ["variables", "operationName", "extensions"]
        .iter()
        .enumerate()
    {
        let body = json!({"query": "{ __typename }", *name: null});
        all.push((
            format!("94B{at}"),
            post(Some(GRAPHQL), &body),
            Must::Succeed,
        ));
        all.push((format!("022{at}"), post(Some(JSON), &body), Must::Succeed));
    }
    let typename = json!({"query": "{ __typename }"});
    let named = json!({"operationName": "Query", "query": "query Query { __typename }"});
    let query = "query Type($name: String!) { __type(name: $name) { name } }";
    let variables = json!({"name": "sometype"});
    let typed = json!({"query": query, "variables": variables});
    let extended = json!({"query": "{ __typename }", "extensions": {"some": "value"}});
    for (graphql, json, body) in [
        ("34A2", "13EE", &typename),
        ("8161", "B8B3", &named),
        ("2EA1", "28B9", &typed),
        ("428F", "1B7A", &extended),
    ] {
        all.push(one(graphql, post(Some(GRAPHQL), body), Must::Be(200)));
        all.push(one(json, post(Some(JSON), body), Must::Succeed));
    }
    for (id, accept) in [("D6D5", GRAPHQL), ("6A70", JSON)] {
        let parameters = vec![
            ("query", query.to_owned()),
            ("variables", variables.to_string()),
        ];
        all.push(one(id, get(Some(accept), parameters), Must::Succeed));
    }
    all
}

/// Documents that cannot run.
fn of_documents() -> Vec<Audit> {
    let one = |id: &str, ask, must| (id.to_owned(), ask, must);
    let broken = json!({"query": "{"});
    let invalid = json!({"query": "{ 8f31403dfe404bccbb0e835f2629c6a7 }"});
    let uncoerced = json!({
        "query": "query CoerceFailure($id: ID!){ __typename }",
        "variables": {"id": null},
    });
    vec![
        one("572B", post(Some(JSON), &broken), Must::Be(200)),
        one("FDE2", post(Some(JSON), &invalid), Must::Be(200)),
        one("7B9B", post(Some(JSON), &uncoerced), Must::Be(200)),
        one("865D", post(Some(GRAPHQL), &broken), Must::LieIn(400, 599)),
        one("556A", post(Some(GRAPHQL), &broken), Must::Be(400)),
        one("D586", post(Some(GRAPHQL), &broken), Must::HaveNoData),
        one("51FE", post(Some(GRAPHQL), &invalid), Must::LieIn(400, 599)),
        one("74FF", post(Some(GRAPHQL), &invalid), Must::Be(400)),
        one("5E5B", post(Some(GRAPHQL), &invalid), Must::HaveNoData),
        one("86EE", post(Some(GRAPHQL), &uncoerced), Must::Be(400)),
    ]
}

impl Ask {
    fn request(self, app: &TestApp) -> RequestBuilder {
        let mut request = match self.what {
            What::Get(parameters) => app.request(Method::GET, "/graphql").query(&parameters),
            What::Post(body) => {
                let request = app.request(Method::POST, "/graphql");
                match body {
                    Some(body) => request.body(body),
                    None => request,
                }
            }
        };
        if let Some(accept) = self.accept {
            request = request.header("accept", accept);
        }
        if let Some(kind) = self.content_type {
            request = request.header("content-type", kind);
        }
        request
    }
}

/// What is wrong with an answer, if anything is.
async fn judge(app: &TestApp, ask: Ask, must: Must) -> Option<String> {
    let answer = ask.request(app).send().await.unwrap();
    let status = answer.status().as_u16();
    let kind = answer.headers().get("content-type");
    let kind = kind.map_or("", |kind| kind.to_str().unwrap()).to_owned();
    let text = String::from_utf8(answer.bytes().await.unwrap().to_vec()).unwrap();
    let body: Value = serde_json::from_str(&text).unwrap_or_default();
    let good = match must {
        Must::Be(wanted) => status == wanted,
        Must::BeOf(wanted, media) => status == wanted && kind.contains(media),
        Must::Succeed => status == 200 && body.get("errors").is_none(),
        Must::LieIn(first, last) => (first..=last).contains(&status),
        Must::HaveNoData => body.is_object() && body.get("data").is_none(),
    };
    (!good).then(|| format!("{status} {kind} {text}"))
}

#[tokio::test]
async fn all_61_audits_are_passed() {
    let app = TestApp::start().await;
    let all = of_the_carrier().into_iter();
    let all = all.chain(of_the_parameters()).chain(of_documents());
    let mut failed = Vec::new();
    let mut passed = 0;
    for (id, ask, must) in all {
        match judge(&app, ask, must).await {
            Some(wrong) => failed.push(format!("{id}: {wrong}")),
            // Where there is no header at all is a case of ours.
            None if id.ends_with("without") => {}
            None => passed += 1,
        }
    }
    assert_eq!((passed, failed), (61, Vec::<String>::new()));
}
