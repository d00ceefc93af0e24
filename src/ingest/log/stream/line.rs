//! A connection to the Redis, or to the Redis Cluster, of one task's own.
//!
//! One task, one connection: a read that waits holds up nobody, and what one task sends is
//! answered in order. A connection that failed is made anew for the next command.

use std::time::Duration;

use redis::aio::ConnectionLike;
use redis::cluster_routing::{MultipleNodeRoutingInfo, RoutingInfo};
use redis::{Cmd, FromRedisValue, RedisError, Value};

use crate::redis_line::{Connection, Server, is_spoilt};

/// The connection.
pub(super) struct Line {
    server: Server,
    /// How long Redis has to answer.
    patience: Duration,
    connection: Option<Connection>,
}

impl Line {
    /// Connects when it is first needed.
    pub(super) fn new(server: Server, patience: Duration) -> Self {
        Self {
            server,
            patience,
            connection: None,
        }
    }

    /// Sends a command and reads the answer.
    pub(super) async fn ask<T: FromRedisValue>(&mut self, command: &Cmd) -> Result<T, RedisError> {
        let result = async {
            match self.connect().await? {
                Connection::Single(connection) => connection.req_packed_command(command).await,
                Connection::Cluster(connection) => connection.req_packed_command(command).await,
            }
        };
        let result = result.await.and_then(Value::extract_error);
        let value = self.checked(result)?;
        Ok(redis::from_redis_value(value)?)
    }

    /// Asks every node that takes writes.
    pub(super) async fn ask_masters(&mut self, command: &Cmd) -> Result<Vec<Value>, RedisError> {
        let result = async {
            match self.connect().await? {
                Connection::Single(connection) => {
                    let value = connection.req_packed_command(command).await?;
                    Ok(vec![value.extract_error()?])
                }
                Connection::Cluster(connection) => {
                    let all = MultipleNodeRoutingInfo::AllMasters;
                    let routing = RoutingInfo::MultiNode((all, None));
                    let answers = connection.route_command(command.clone(), routing).await?;
                    let answers = match answers.extract_error()? {
                        Value::Map(answers) => answers.into_iter().map(|(_, one)| one).collect(),
                        one => vec![one],
                    };
                    answers.into_iter().map(Value::extract_error).collect()
                }
            }
        };
        let result = result.await;
        self.checked(result)
    }

    async fn connect(&mut self) -> Result<&mut Connection, RedisError> {
        // Taken and put back, for a borrow that is returned from one arm lasts in all.
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.server.open(self.patience).await?,
        };
        Ok(self.connection.insert(connection))
    }

    /// Gives up a connection that may be broken, or whose next answer may be an old one.
    fn checked<T>(&mut self, result: Result<T, RedisError>) -> Result<T, RedisError> {
        if result.as_ref().is_err_and(is_spoilt) {
            self.connection = None;
        }
        result
    }
}
