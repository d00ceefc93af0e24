//! Who is a bot, and what changes when someone knows better.

use std::sync::Arc;

use chrono::TimeDelta;
use serde_json::{Value, json};
use tidewater::clock::Clock;

use super::{later, march};
use crate::support::{Order, TestApp, TestDb, assert_consistent, pageview};

const BOT: &str = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)";
const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:120.0) Gecko/20100101 Firefox/120.0";

async fn reclassify(app: &TestApp, user_agent: &str, bot: bool, range: &str) -> Value {
    let query = format!(
        r#"mutation {{ reclassifyUserAgent(userAgent: "{user_agent}", bot: {bot} {range}) {{ changed continueFrom }} }}"#
    );
    app.data(&query).await["reclassifyUserAgent"].take()
}

#[tokio::test]
async fn bots_are_told_kept_and_left_out_unless_asked_for() {
    let app = later().await;
    let visit = |visitor: &str, agent: &str| {
        let mut visit = pageview(visitor, "/", "2026-03-01T12:00:00Z");
        visit["userAgent"] = agent.into();
        visit
    };
    app.accept(&[
        Order::of("mug").with("userAgent", BOT).event(),
        Order::of("mug").with("userAgent", BROWSER).event(),
        Order::of("mug").by("u2").event(),
        visit("v1", BOT),
        visit("v1", BROWSER),
        visit("v2", BOT),
    ])
    .await;
    let fields = "totals { orders buyers } provenance { excludedBots lateEvents source watermark }";
    let provenance = |excluded: u32, late: u32| json!({"excludedBots": excluded, "lateEvents": late, "source": "ROLLUP_AND_RAW", "watermark": "2026-03-01T12:00:00+00:00"});
    assert_eq!(
        march(&app, "", fields).await,
        json!({"totals": {"orders": 2, "buyers": 2}, "provenance": provenance(1, 2)})
    );
    assert_eq!(
        march(&app, "includeBots: true", fields).await,
        json!({"totals": {"orders": 3, "buyers": 2}, "provenance": provenance(0, 3)})
    );
    let agents = r"{
        all: userAgents { totalCount }
        userAgents(filter: {bot: true}) { nodes { userAgent bot classifiedAt } }
        events(filter: {bot: true}) { totalCount nodes { userAgent bot } }
        others: events(filter: {bot: false}) { totalCount }
    }";
    let of_bot = json!({"userAgent": BOT, "bot": true});
    assert_eq!(
        app.data(agents).await,
        json!({
            "all": {"totalCount": 2},
            "userAgents": {"nodes": [{"userAgent": BOT, "bot": true, "classifiedAt": null}]},
            "events": {"totalCount": 3, "nodes": [of_bot, of_bot, of_bot]},
            "others": {"totalCount": 3},
        })
    );
    assert_consistent(&app.db).await;
}

#[tokio::test]
async fn what_is_said_of_a_program_counts_from_then_on_and_for_what_is_stored() {
    let clock = Clock::manual("2026-03-20T00:00:00Z".parse().unwrap());
    let db = Arc::new(TestDb::migrated().await);
    let app = TestApp::on(Arc::clone(&db), None, clock.clone()).await;
    let other_server = TestApp::on(Arc::clone(&db), None, clock).await;
    let order = |user: &str, at: &str, agent: &str| {
        Order::of("mug").by(user).at(at).with("userAgent", agent)
    };
    app.accept(&[
        order("u1", "2026-03-01T12:00:00Z", BROWSER).event(),
        order("u1", "2026-03-01T12:00:10Z", "PriceApp").event(),
        order("u2", "2026-03-01T12:00:20Z", "PriceApp")
            .and("tea", 2, "1.50")
            .event(),
        order("u2", "2026-03-02T12:00:00Z", "PriceApp")
            .with("type", "refund")
            .event(),
        order("u3", "2026-03-19T23:59:00Z", "PriceApp").event(),
    ])
    .await;
    let counted = async |app: &TestApp| {
        let sales = march(
            app,
            "",
            "totals { orders buyers netRevenue } provenance { excludedBots }",
        );
        let traffic = r#"{ traffic(range: {from: "2026-03-01T00:00:00Z", to: "2026-04-01T00:00:00Z"}) { totals { events users } } }"#;
        let traffic = app.data(traffic).await["traffic"]["totals"].take();
        json!([sales.await["totals"], traffic])
    };
    let all = counted(&app).await;
    assert_eq!(
        all,
        json!([{"orders": 4, "buyers": 3, "netRevenue": "31.50"}, {"events": 5, "users": 3}])
    );

    // Of the first day alone.
    let first = r#", range: {from: "2026-03-01T00:00:00Z", to: "2026-03-02T00:00:00Z"}"#;
    assert_eq!(
        reclassify(&app, "PriceApp", true, first).await,
        json!({"changed": 2, "continueFrom": null})
    );
    assert_eq!(
        counted(&app).await,
        json!([{"orders": 2, "buyers": 2, "netRevenue": "10.00"}, {"events": 3, "users": 3}])
    );
    assert_consistent(&app.db).await;
    // The rest.
    assert_eq!(reclassify(&app, "PriceApp", true, "").await["changed"], 2);
    assert_eq!(
        counted(&app).await,
        json!([{"orders": 1, "buyers": 1, "netRevenue": "10.00"}, {"events": 1, "users": 1}])
    );
    assert_consistent(&app.db).await;
    assert_eq!(reclassify(&app, "PriceApp", true, "").await["changed"], 0);

    // Both servers know, one has never heard of the program; and neither takes for stored what was
    // taken back: that u3 was there that day.
    for (server, user) in [(&app, "u3"), (&other_server, "u4")] {
        let later = "2026-03-19T23:59:30Z";
        server
            .accept(&[
                order(user, later, "PriceApp").event(),
                order(user, later, BROWSER).event(),
            ])
            .await;
    }
    assert_eq!(
        counted(&app).await,
        json!([{"orders": 3, "buyers": 3, "netRevenue": "30.00"}, {"events": 3, "users": 3}])
    );
    assert_consistent(&app.db).await;

    // Before its first event, and back again.
    assert_eq!(
        reclassify(&app, "Newcomer", true, "").await,
        json!({"changed": 0, "continueFrom": null})
    );
    other_server
        .accept(&[order("u5", "2026-03-19T12:00:00Z", "Newcomer").event()])
        .await;
    let events = "{ events(filter: {bot: true}) { totalCount } }";
    assert_eq!(app.data(events).await["events"]["totalCount"], 7);
    assert_eq!(reclassify(&app, "PriceApp", false, "").await["changed"], 6);
    assert_eq!(app.data(events).await["events"]["totalCount"], 1);
    let agents = "{ userAgents { nodes { userAgent bot classifiedAt } } }";
    let agents = app.data(agents).await["userAgents"]["nodes"].take();
    let said = agents.as_array().unwrap().iter();
    let mut said: Vec<_> = said
        .map(|one| {
            (
                one["userAgent"].as_str().unwrap(),
                one["bot"] == true,
                one["classifiedAt"].is_string(),
            )
        })
        .collect();
    said.sort_unstable();
    assert_eq!(
        said,
        [
            (BROWSER, false, false),
            ("Newcomer", true, true),
            ("PriceApp", false, true)
        ]
    );
    assert_consistent(&app.db).await;

    let refused = r#"mutation { reclassifyUserAgent(userAgent: "", bot: true) { changed } }"#;
    assert_eq!(app.code(refused).await, "invalid_filter");
}

#[tokio::test]
async fn events_that_are_stored_while_something_is_said_are_on_one_side_of_it() {
    let db = Arc::new(TestDb::migrated().await);
    let servers = [
        TestApp::on(Arc::clone(&db), None, Clock::System).await,
        TestApp::on(Arc::clone(&db), None, Clock::System).await,
    ];
    let begin = tidewater::clock::Clock::System.now();
    let send = async |app: &TestApp, name: &str| {
        for n in 0..25 {
            let events: Vec<Value> = (0..40)
                .map(|k| {
                    // Few users on few days, so that days are stored once and remembered.
                    let at = begin - TimeDelta::hours(20 * (k % 4)) - TimeDelta::seconds(n);
                    let agent = ["PriceApp", BROWSER, BOT][usize::try_from(k % 3).unwrap()];
                    Order::of(name)
                        .by(&format!("u{}", k % 7))
                        .at(at.to_rfc3339())
                        .with("userAgent", agent)
                        .event()
                })
                .collect();
            app.accept(&events).await;
        }
    };
    let say = async {
        for n in 0..6 {
            let done = reclassify(&servers[n % 2], "PriceApp", n % 2 == 0, "").await;
            assert_eq!(done["continueFrom"], Value::Null);
        }
        reclassify(&servers[0], "PriceApp", true, "").await;
    };
    // Two of each server's transactions are on their way at a time.
    tokio::join!(
        send(&servers[0], "mug"),
        send(&servers[0], "cup"),
        send(&servers[1], "tea"),
        send(&servers[1], "jug"),
        say
    );
    assert_consistent(&db).await;
    // Whatever had come before is a bot's, and so is whatever came after.
    let wrong = "SELECT count(*) FROM event JOIN user_agent USING (tenant_id, user_agent_id)
                 WHERE event.bot <> user_agent.bot";
    assert_eq!(db.number(wrong).await, 0);
    assert_eq!(db.number("SELECT count(*) FROM event").await, 4_000);
}
