//! Tells bots by what their programs call themselves.
//!
//! A program is a bot if a kept list of crawlers, feed readers, monitors and HTTP libraries knows
//! it, or if it says itself that it is one. The answer follows from the text alone. Looking a text
//! up takes microseconds; the same few texts come again and again, so that each thread remembers
//! the last answers.

use std::cell::RefCell;

use iscrawl::crawler_info;
use xxhash_rust::xxh3::xxh3_128;

/// How many answers a thread remembers: 32 bytes each.
const MEMORY: usize = 8_192;
/// Among how many places an answer chooses: more than share them by chance.
const WAYS: usize = 4;
/// What no browser has in its name.
const SELF_DECLARED: [&[u8]; 4] = [b"bot/", b"crawler", b"spider", b"+http"];

thread_local! {
    /// An answer lies near where its hash says; a newer one takes the place of an older.
    static ANSWERS: RefCell<Vec<Option<(u128, bool)>>> = const { RefCell::new(Vec::new()) };
}

/// Whether a program of this name is a bot. An empty name tells nothing.
#[must_use]
pub fn is_bot(user_agent: &str) -> bool {
    let hash = xxh3_128(user_agent.as_bytes());
    // Which of all and which of the few, by different parts of the hash.
    let [first, way] = [hash, hash >> 64].map(|part| usize::try_from(part & 0xffff).unwrap_or(0));
    let first = first % (MEMORY / WAYS) * WAYS;
    ANSWERS.with_borrow_mut(|answers| {
        if answers.is_empty() {
            answers.resize(MEMORY, None);
        }
        let near = &mut answers[first..first + WAYS];
        if let Some((_, answer)) = near.iter().flatten().find(|(known, _)| *known == hash) {
            return *answer;
        }
        let answer = says_so(user_agent) || crawler_info(user_agent).is_some();
        let free = near.iter().position(Option::is_none);
        near[free.unwrap_or(way % WAYS)] = Some((hash, answer));
        answer
    })
}

fn says_so(user_agent: &str) -> bool {
    let has = |word: &&[u8]| {
        let mut parts = user_agent.as_bytes().windows(word.len());
        parts.any(|part| part.eq_ignore_ascii_case(word))
    };
    SELF_DECLARED.iter().any(has)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_shops_meet_is_told_apart() {
        for bot in [
            "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
            "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.0; +https://openai.com/gptbot)",
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/119.0.0.0 Safari/537.36",
            "facebookexternalhit/1.1",
            "PriceWatchBot/0.3",
            "SomeCrawler 1.0",
            "curl/8.5.0",
            "python-requests/2.31.0",
        ] {
            assert!(is_bot(bot), "{bot}");
        }
        for human in [
            "",
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36",
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 Instagram 300.0",
            // A telephone of that name.
            "Mozilla/5.0 (Linux; Android 10; CUBOT X30) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/119.0.0.0 Mobile Safari/537.36",
            "MyShop/512 CFNetwork/1410.0.3 Darwin/22.6.0",
            "Dalvik/2.1.0 (Linux; U; Android 13; Pixel 7 Build/TQ3A)",
            "analytics-node/2.2.0",
        ] {
            assert!(!is_bot(human), "{human}");
        }
    }

    #[test]
    fn an_answer_that_is_remembered_is_the_answer_of_that_text() {
        // More texts than places, of one length, beginning and ending alike, in one buffer.
        for _ in 0..2 {
            for n in 0..10_000 {
                let name = if n % 3 == 0 { "bot/" } else { "app/" };
                let text = format!("Mozilla/5.0 {n:06} {name} Gecko Safari/537.36");
                assert_eq!(is_bot(&text), n % 3 == 0, "{text}");
            }
        }
    }
}
