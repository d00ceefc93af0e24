// /graphiql of the server at $TIDEWATER_URL in a real Chromium ($CHROMIUM), driven by its own
// protocol: the page loads under its policy, takes a key, asks a question and watches.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import WebSocket from 'ws';

const { TIDEWATER_URL: url, TIDEWATER_KEY: key, CHROMIUM: chromium } = process.env;

const profile = await mkdtemp(join(tmpdir(), 'tidewater-explorer-'));
const browser = spawn(chromium, [
  '--headless=new',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-dev-shm-usage',
  '--window-size=1400,900',
  '--remote-debugging-port=0',
  `--user-data-dir=${profile}`,
  'about:blank',
]);

const finish = async (code) => {
  browser.kill('SIGKILL');
  await new Promise((done) => (browser.exitCode === null && !browser.signalCode ? browser.once('exit', done) : done()));
  await rm(profile, { recursive: true, force: true, maxRetries: 5 });
  process.exit(code);
};

// Where the browser says that it listens.
const endpoint = await new Promise((found, failed) => {
  let said = '';
  browser.stderr.on('data', (chunk) => {
    said += chunk;
    const line = /DevTools listening on (ws:\S+)/.exec(said);
    if (line) found(line[1]);
  });
  browser.once('exit', () => failed(new Error(said)));
});

const socket = new WebSocket(endpoint);
await new Promise((open) => socket.once('open', open));
const waiting = new Map();
const complaints = [];
let last = 0;
socket.on('message', (text) => {
  const message = JSON.parse(text);
  if (message.id) waiting.get(message.id)(message);
  if (message.method === 'Log.entryAdded' && message.params.entry.level === 'error') {
    complaints.push(`${message.params.entry.text} ${message.params.entry.url ?? ''}`);
  }
  if (message.method === 'Runtime.exceptionThrown') {
    complaints.push(message.params.exceptionDetails.exception?.description ?? 'an exception');
  }
});
let sessionId;
const send = async (method, params = {}) => {
  const id = ++last;
  socket.send(JSON.stringify({ id, method, params, sessionId }));
  const answer = await new Promise((done) => waiting.set(id, done));
  if (answer.error) throw new Error(`${method}: ${answer.error.message}`);
  return answer.result;
};
const evaluate = async (expression) => {
  const { result, exceptionDetails } = await send('Runtime.evaluate', {
    expression,
    awaitPromise: true,
    returnByValue: true,
  });
  if (exceptionDetails) throw new Error(exceptionDetails.exception?.description);
  return result.value;
};
const until = async (what, expression) => {
  for (let tries = 0; tries < 200; tries += 1) {
    const value = await evaluate(expression);
    if (value) return value;
    await new Promise((done) => setTimeout(done, 100));
  }
  throw new Error(`never: ${what}; ${complaints.join('; ')}; ${await evaluate('document.body.innerText')}`);
};
const RESULT = `document.querySelector('.graphiql-response .CodeMirror')?.CodeMirror?.getValue() ?? ''`;
const type = (query) =>
  evaluate(`document.querySelector('.graphiql-query-editor .CodeMirror').CodeMirror.setValue(${JSON.stringify(query)})`);
// The page looks a moment after a change which operations there are.
const pause = (time) => new Promise((done) => setTimeout(done, time));
const run = () => pause(1_000).then(() => evaluate(`document.querySelector('.graphiql-execute-button').click()`));

try {
  const { targetId } = await send('Target.createTarget', { url: 'about:blank' });
  ({ sessionId } = await send('Target.attachToTarget', { targetId, flatten: true }));
  await send('Log.enable');
  await send('Runtime.enable');
  await send('Page.enable');
  await send('Page.navigate', { url: `${url}/graphiql#key=${encodeURIComponent(key)}` });
  await until('the editor is there', `Boolean(document.querySelector('.graphiql-query-editor .CodeMirror'))`);
  await until('the key is taken', `!document.getElementById('key-held').hidden && !location.hash`);
  // The example that every newcomer sees.
  assert.match(await evaluate(`document.querySelector('.graphiql-query-editor .CodeMirror').CodeMirror.getValue()`), /liveSales/);

  await type('{ __typename }');
  await run();
  await until('a question is answered', `/"__typename": "Query"/.test(${RESULT})`);
  await type('subscription { liveSales(window: ONE_HOUR) { orders } }');
  await run();
  await until('a subscription shows its first value', `/"orders": \\d+/.test(${RESULT})`);
  await run();

  // Nothing was forbidden by the page's policy, and a script of somebody else would be.
  assert.deepEqual(complaints, []);
  await evaluate(`new Promise((done) => {
    document.addEventListener('securitypolicyviolation', (event) => { window.refused = event.violatedDirective; done(); });
    const script = document.createElement('script');
    script.textContent = 'window.ran = true';
    document.head.append(script);
  })`);
  assert.match(await evaluate('window.refused'), /^script-src/);
  assert.equal(await evaluate('window.ran === undefined'), true);
  console.log(JSON.stringify({ explorer: 'ok' }));
  await finish(0);
} catch (error) {
  console.error(error);
  await finish(1);
}
