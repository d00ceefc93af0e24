//! One Redis, or the nodes of a Redis Cluster.

use super::Secret;

/// Where Redis is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisUrl {
    nodes: Vec<Secret>,
    cluster: bool,
}

impl RedisUrl {
    /// Reads `redis://…` (one server), `redis+cluster://…`, or several nodes after commas, of which
    /// those behind the first may be a mere `host:port`.
    #[must_use]
    pub fn read(url: &Secret) -> Self {
        let mut nodes: Vec<&str> = url.reveal().split(',').map(str::trim).collect();
        nodes.retain(|node| !node.is_empty());
        let cluster = nodes.len() > 1 || url.reveal().contains("+cluster://");
        let first = nodes
            .first()
            .map_or_else(String::new, |node| node.replace("+cluster://", "://"));
        let login = match first
            .rfind('@')
            .or_else(|| first.find("://").map(|at| at + 2))
        {
            Some(end) => &first[..=end],
            None => "redis://",
        };
        let whole = |node: &str| {
            if node.contains("://") {
                node.replace("+cluster://", "://")
            } else {
                format!("{login}{node}")
            }
        };
        let nodes = nodes.iter().map(|node| Secret::from(whole(node))).collect();
        Self { nodes, cluster }
    }

    /// The node to ask for what every node can do; empty if none is named.
    #[must_use]
    pub fn first(&self) -> &str {
        self.nodes.first().map_or("", Secret::reveal)
    }

    /// Where to find the cluster, if it is one.
    #[must_use]
    pub fn cluster(&self) -> Option<Vec<&str>> {
        self.cluster
            .then(|| self.nodes.iter().map(Secret::reveal).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Vec<String>, bool) {
        let url = RedisUrl::read(&text.parse().unwrap());
        let nodes = url.nodes.iter().map(|node| node.reveal().to_owned());
        (nodes.collect(), url.cluster().is_some())
    }

    #[test]
    fn one_url_is_one_server_and_several_are_a_cluster() {
        let one = |node: &str, cluster| (vec![node.to_owned()], cluster);
        assert_eq!(read("redis://:pw@a:1/0"), one("redis://:pw@a:1/0", false));
        assert_eq!(read("redis+cluster://a:1"), one("redis://a:1", true));
        assert_eq!(read("rediss+cluster://u:p@a"), one("rediss://u:p@a", true));
        let nodes = |names: [&str; 3]| names.map(str::to_owned).to_vec();
        assert_eq!(
            read("redis://a:1,b:2,redis://c:3"),
            (nodes(["redis://a:1", "redis://b:2", "redis://c:3"]), true)
        );
        assert_eq!(
            read("rediss://u:p@a:1,b:2,c:3"),
            (
                nodes(["rediss://u:p@a:1", "rediss://u:p@b:2", "rediss://u:p@c:3"]),
                true
            )
        );
    }
}
