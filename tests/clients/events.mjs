// The client graphql-sse, in the mode of distinct connections, against the server at $TIDEWATER_URL.
import assert from 'node:assert/strict';
import { createClient } from 'graphql-sse';

const { TIDEWATER_URL: url, TIDEWATER_KEY: key } = process.env;
const WATCH = 'subscription { liveSales(window: ONE_HOUR) { orders } }';

const connect = (authorization) =>
  createClient({ url: `${url}/graphql`, headers: { authorization }, retryAttempts: 0 });

const all = async (client, query) => {
  const results = [];
  for await (const result of client.iterate({ query })) results.push(result);
  return results;
};

const client = connect(`Bearer ${key}`);
assert.deepEqual((await all(client, '{ __typename }'))[0].data, { __typename: 'Query' });

const [first, second] = [client.iterate({ query: WATCH }), client.iterate({ query: WATCH })];
for (const watching of [first, second]) {
  const { value } = await watching.next();
  assert.equal(typeof value.data.liveSales.orders, 'number');
  await watching.return();
}

const [refused] = await all(client, '{ nothing }');
assert.equal(refused.errors[0].extensions.code, 'invalid_query');

const stranger = await all(connect('Bearer nobody'), WATCH).catch((error) => error);
assert.match(String(stranger), /401|Unauthorized/);

console.log(JSON.stringify({ events: 'ok' }));
process.exit(0);
