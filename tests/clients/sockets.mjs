// The client graphql-ws against the server at $TIDEWATER_URL: a question, a subscription that is
// ended, several operations on one socket, an error, and each way to be turned away.
import assert from 'node:assert/strict';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';

const { TIDEWATER_URL: url, TIDEWATER_KEY: key } = process.env;
const WATCH = 'subscription { liveSales(window: ONE_HOUR) { orders } }';

const connect = (authorization, options = {}) =>
  createClient({
    url: `${url.replace('http', 'ws')}/graphql`,
    webSocketImpl: WebSocket,
    connectionParams: { authorization },
    retryAttempts: 0,
    ...options,
  });

const one = async (client, query) => {
  const all = [];
  for await (const result of client.iterate({ query })) all.push(result);
  return all;
};

const client = connect(`Bearer ${key}`);
const [answer] = await one(client, '{ __typename }');
assert.deepEqual(answer.data, { __typename: 'Query' });

// Two subscriptions and a mutation side by side; both are ended by us.
const [first, second] = [client.iterate({ query: WATCH }), client.iterate({ query: WATCH })];
for (const watching of [first, second]) {
  const { value } = await watching.next();
  assert.equal(typeof value.data.liveSales.orders, 'number');
}
assert.equal((await one(client, 'mutation { __typename }'))[0].data.__typename, 'Mutation');
await first.return();
await second.return();

const refused = await one(client, '{ nothing }').catch((errors) => errors);
assert.equal(refused[0].extensions.code, 'invalid_query');
await client.dispose();

// Lazy keep-alive pings of the client, answered.
let pongs = 0;
const pinging = connect(`Bearer ${key}`, {
  keepAlive: 50,
  on: { pong: (received) => received && (pongs += 1) },
});
const watching = pinging.iterate({ query: WATCH });
await watching.next();
while (pongs < 2) await new Promise((done) => setTimeout(done, 20));
await watching.return();
await pinging.dispose();

const forbidden = await one(connect('Bearer nobody'), '{ __typename }').catch((event) => event);
assert.equal(forbidden.code, 4403);

console.log(JSON.stringify({ sockets: 'ok' }));
process.exit(0);
