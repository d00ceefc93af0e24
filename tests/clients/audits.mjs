// The audits of graphql-http, all of them, against the server at $TIDEWATER_URL.
// Prints one line of JSON; fails unless every audit is `ok`.
import { serverAudits } from 'graphql-http';

const { TIDEWATER_URL: url, TIDEWATER_KEY: key } = process.env;

const fetchFn = (input, init = {}) =>
  fetch(input, { ...init, headers: { ...init.headers, authorization: `Bearer ${key}` } });

const audits = serverAudits({ url: `${url}/graphql`, fetchFn });
const told = { total: audits.length, ok: 0, notice: 0, warn: 0, error: 0, wrong: [] };
for (const audit of audits) {
  const result = await audit.fn();
  told[result.status] += 1;
  if (result.status !== 'ok') {
    told.wrong.push(`${result.status} ${audit.id} ${audit.name}: ${result.reason}`);
  }
}
console.log(JSON.stringify(told));
process.exitCode = told.ok === 61 && told.total === 61 ? 0 : 1;
