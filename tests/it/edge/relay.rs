//! The conventions of Relay, as the rules `relay-*` of `@graphql-eslint` check them, and that
//! everything in the schema is described; and `node`, which finds everything again.

use std::collections::BTreeMap;

use async_graphql::parser::parse_schema;
use async_graphql::parser::types::{
    FieldDefinition, TypeDefinition, TypeKind, TypeSystemDefinition,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Method;
use serde_json::{Value, json};
use tidewater::access::{Scope, keys};
use tidewater::clock::Clock;
use tidewater::domain::tenant::TenantId;
use tidewater::storage::Db;

use crate::support::{Order, TestApp, answer, pageview};

fn types() -> BTreeMap<String, TypeDefinition> {
    let document = parse_schema(tidewater::graphql::sdl()).unwrap();
    let definitions = document.definitions.into_iter();
    let of_type = |definition| match definition {
        TypeSystemDefinition::Type(definition) => Some(definition.node),
        _ => None,
    };
    let types = definitions.filter_map(of_type);
    types
        .map(|definition| (definition.name.node.to_string(), definition))
        .collect()
}

fn fields(definition: &TypeDefinition) -> Vec<&FieldDefinition> {
    let fields = match &definition.kind {
        TypeKind::Object(object) => &object.fields,
        TypeKind::Interface(interface) => &interface.fields,
        _ => return Vec::new(),
    };
    fields.iter().map(|field| &field.node).collect()
}

fn implements_node(definition: &TypeDefinition) -> bool {
    let TypeKind::Object(object) = &definition.kind else {
        return false;
    };
    object.implements.iter().any(|name| name.node == "Node")
}

#[test]
fn connections_and_edges_are_relays() {
    let types = types();
    let kind = |of: &str, name: &str| {
        let all = fields(&types[of]);
        let found = all.iter().find(|field| field.name.node == name);
        found.map_or_else(|| format!("{of}.{name}"), |field| field.ty.node.to_string())
    };
    let page = ["hasPreviousPage", "hasNextPage", "startCursor", "endCursor"]
        .map(|name| kind("PageInfo", name));
    assert_eq!(page, ["Boolean!", "Boolean!", "String", "String"]);
    let connections: Vec<&str> = types
        .keys()
        .filter_map(|name| name.strip_suffix("Connection"))
        .collect();
    assert!(connections.len() >= 8, "{connections:?}");
    for name in connections {
        let (connection, edge) = (format!("{name}Connection"), format!("{name}Edge"));
        assert_eq!(kind(&connection, "pageInfo"), "PageInfo!");
        assert_eq!(kind(&connection, "edges"), format!("[{edge}!]!"));
        assert_eq!(kind(&edge, "cursor"), "String!");
        assert_eq!(kind(&edge, "node"), format!("{name}!"));
        assert!(implements_node(&types[name]), "{name}");
    }
    for definition in types.values() {
        for field in fields(definition) {
            if !field
                .ty
                .node
                .to_string()
                .trim_end_matches('!')
                .ends_with("Connection")
            {
                continue;
            }
            for (name, kind) in [
                ("first", "Int"),
                ("last", "Int"),
                ("after", "String"),
                ("before", "String"),
            ] {
                let argument = field
                    .arguments
                    .iter()
                    .find(|argument| argument.node.name.node == name);
                let given = argument.map(|argument| argument.node.ty.node.to_string());
                assert_eq!(given.as_deref(), Some(kind), "{}({name})", field.name.node);
            }
        }
    }
}

#[test]
fn everything_is_described() {
    let mut silent = Vec::new();
    for (name, definition) in &types() {
        if definition.description.is_none() {
            silent.push(name.clone());
        }
        for field in fields(definition) {
            let path = format!("{name}.{}", field.name.node);
            for argument in &field.arguments {
                if argument.node.description.is_none() {
                    silent.push(format!("{path}({})", argument.node.name.node));
                }
            }
            if field.description.is_none() {
                silent.push(path);
            }
        }
        let parts: Vec<(String, bool)> = match &definition.kind {
            TypeKind::Enum(words) => {
                let values = words.values.iter().map(|value| &value.node);
                values
                    .map(|value| (value.value.node.to_string(), value.description.is_some()))
                    .collect()
            }
            TypeKind::InputObject(input) => {
                let fields = input.fields.iter().map(|field| &field.node);
                fields
                    .map(|field| (field.name.node.to_string(), field.description.is_some()))
                    .collect()
            }
            _ => Vec::new(),
        };
        let undescribed = parts.into_iter().filter(|(_, described)| !described);
        silent.extend(undescribed.map(|(part, _)| format!("{name}.{part}")));
    }
    assert_eq!(silent, Vec::<String>::new());
}

#[tokio::test]
async fn whatever_has_an_id_is_found_by_it_and_by_its_tenant_alone() {
    let app = TestApp::start().await;
    let order = Order::of("mug").event();
    app.accept(&[
        order.clone(),
        pageview("u1", "https://shop.example/", "2026-03-01T12:00:00Z"),
    ])
    .await;
    app.data(
        "mutation { putProducts(products: [{productId: \"mug\", title: \"Mug\"}]) { stored } }",
    )
    .await;
    let lists = "events pageviews purchases users userAgents products refunds";
    let mut found = 0;
    let mut ids = Vec::new();
    for list in lists.split(' ') {
        let listed = app
            .data(&format!("{{ {list} {{ nodes {{ __typename id }} }} }}"))
            .await;
        for node in listed[list]["nodes"].as_array().unwrap() {
            let query = "query($id: ID!) { node(id: $id) { __typename id } }";
            let told = app.ask_with(query, json!({"id": node["id"]})).await;
            assert_eq!(&told["data"]["node"], node, "{told}");
            ids.push(node["id"].clone());
            found += 1;
        }
    }
    assert!(found >= 6, "{found}");

    let db = Db::open(&app.db.url(), |_| ()).await.unwrap();
    let tenant = keys::ensure_tenant(&db, "another").await.unwrap();
    let now = Clock::System.now();
    let other = keys::create(&db, TenantId(tenant.tenant_id), "k", &[Scope::Admin], now)
        .await
        .unwrap();
    for id in ids {
        let body =
            json!({"query": "query($id: ID!) { node(id: $id) { id } }", "variables": {"id": id}});
        let request = app
            .anonymous(Method::POST, "/graphql")
            .bearer_auth(&other)
            .json(&body);
        let (_, told) = answer(request).await;
        assert_eq!(told["data"], json!({"node": null}), "{told}");
        assert!(told.get("errors").is_none(), "{told}");
    }
    for wrong in ["", "?", "Event:1", "RXZlbnQ", "RXZlbnQ6MQ"] {
        let told = app
            .ask_with(
                "query($id: ID!) { node(id: $id) { id } }",
                json!({"id": wrong}),
            )
            .await;
        assert_eq!(
            told["errors"][0]["extensions"]["code"], "invalid_id",
            "{wrong}: {told}"
        );
    }
    let nobody = URL_SAFE_NO_PAD.encode("Event:67e55044-10b1-426f-9247-bb680e5fe0c8");
    assert_eq!(
        app.data(&format!("{{ node(id: \"{nobody}\") {{ id }} }}"))
            .await["node"],
        Value::Null
    );
}
