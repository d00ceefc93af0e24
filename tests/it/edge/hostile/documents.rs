//! Documents that are made to cost.

/// Makes one, the greater the number the larger.
pub type Make = fn(usize) -> String;

/// Kinds of hostile documents, each growing with a number.
pub const KINDS: [(&str, Make); 22] = [
    ("deep fields", |n| {
        format!("{}{}", "{ a ".repeat(20 + n), "}".repeat(20 + n))
    }),
    ("deep and broken", |n| "{ a ".repeat(50 + 100 * n)),
    ("deep inline fragments", |n| {
        format!(
            "{{ {} a {} }}",
            "... { ".repeat(60 + n),
            "} ".repeat(60 + n)
        )
    }),
    ("deep lists", |n| {
        format!(
            "{{ a(b: {}{}) }}",
            "[".repeat(60 + 100 * n),
            "]".repeat(60 + 100 * n)
        )
    }),
    ("deep objects", |n| {
        format!(
            "{{ a(b: {}1{}) }}",
            "{c: ".repeat(60 + n),
            "}".repeat(60 + n)
        )
    }),
    ("wide", |n| {
        format!("{{ {} }}", "__typename ".repeat(51 + 40 * n))
    }),
    ("wide within", |n| {
        format!(
            "{{ events {{ {} }} }}",
            "totalCount ".repeat(1_001 + 50 * n)
        )
    }),
    ("aliases", |n| {
        let all: Vec<String> = (0..51 + n).map(|at| format!("a{at}: __typename")).collect();
        format!("{{ {} }}", all.join(" "))
    }),
    ("fragments that double", |n| {
        let link = |at: usize| {
            format!(
                "fragment F{at} on Query {{ ...F{} ...F{} }} ",
                at + 1,
                at + 1
            )
        };
        let links: String = (0..12 + n).map(link).collect();
        format!(
            "{{ ...F0 }} {links} fragment F{} on Query {{ __typename }}",
            12 + n
        )
    }),
    ("fragments in a row", |n| {
        let link = |at: usize| format!("fragment F{at} on Query {{ ...F{} }} ", at + 1);
        let links: String = (0..60 + 5 * n).map(link).collect();
        format!(
            "{{ ...F0 }} {links} fragment F{} on Query {{ __typename }}",
            60 + 5 * n
        )
    }),
    ("a circle of one", |n| {
        format!(
            "{{ ...F }} fragment F on Query {{ {} ...F }}",
            "a ".repeat(n)
        )
    }),
    ("a circle of many", |n| {
        let link = |at: usize| format!("fragment F{at} on Query {{ ...F{} }} ", (at + 1) % (n + 2));
        format!("{{ ...F0 }} {}", (0..n + 2).map(link).collect::<String>())
    }),
    ("a circle that nobody uses", |n| {
        format!(
            "{{ __typename }} fragment F on Query {{ {} ...G }} fragment G on Query {{ ...F }}",
            "a ".repeat(n)
        )
    }),
    ("directives at one place", |n| {
        format!("{{ __typename {} }}", "@aa".repeat(6 + 50 * n))
    }),
    ("directives everywhere", |n| {
        format!("{{ {} }}", "__typename @a @b ".repeat(26 + n))
    }),
    ("a huge text", |n| {
        format!("{{ a(b: \"{}\") }}", "x".repeat((128 + n) * 1024))
    }),
    ("a huge block", |n| {
        format!("{{ a(b: \"\"\"{}\"\"\") }}", "\n".repeat((128 + n) * 1024))
    }),
    ("a huge comment", |n| {
        format!("{{ __typename }} #{}", "[".repeat((128 + n) * 1024))
    }),
    ("a huge number", |n| {
        format!("{{ a(b: {}) }}", "9".repeat((128 + n) * 1024))
    }),
    ("many operations", |n| {
        let all: Vec<String> = (0..1_300 + n)
            .map(|at| format!("query Q{at} {{ a }} "))
            .collect();
        all.concat()
    }),
    ("many variables", |n| {
        let all: Vec<String> = (0..1_300 + n)
            .map(|at| format!("$v{at}: Int = 1"))
            .collect();
        format!("query({}) {{ __typename }}", all.join(", "))
    }),
    ("many arguments", |n| {
        format!("{{ a({}) }}", "b: 1, ".repeat(1_700 + n))
    }),
];
