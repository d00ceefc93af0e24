/* The GraphiQL page: holds the API key, and talks to /graphql over HTTP for
   queries and over a graphql-transport-ws socket for subscriptions. */
(function () {
  'use strict';

  var ENDPOINT = '/graphql';
  var KEY_ITEM = 'tidewater.apiKey';

  var DEFAULT_QUERY = [
    '# Tidewater: live and historical sales.',
    '#',
    '#   Run           the button, or Ctrl-Enter for the',
    '#                 operation under the cursor',
    '#   Complete      Ctrl-Space',
    '#   Schema        the book icon on the left',
    '',
    '# Monthly sales. `provenance` says how current the',
    '# figures are, where they were read from and whether',
    '# they are exact.',
    'query Sales {',
    '  sales(',
    '    range: {',
    '      from: "1997-01-01T00:00:00Z"',
    '      to: "1998-07-01T00:00:00Z"',
    '    }',
    '    granularity: MONTH',
    '  ) {',
    '    buckets {',
    '      start revenue orders units averageOrderValue',
    '    }',
    '    totals { revenue orders units buyers }',
    '    provenance { asOf source approximate lateEvents }',
    '  }',
    '}',
    '',
    '# The last hour, pushed as orders arrive. The same',
    '# button stops it.',
    'subscription Live {',
    '  liveSales(window: ONE_HOUR) {',
    '    revenue',
    '    orders',
    '    topProducts { productId revenue units }',
    '  }',
    '}',
    '',
  ].join('\n');

  // ---- the API key ---------------------------------------------------------

  // sessionStorage is unavailable in some privacy modes; the key then lives
  // only as long as the page.
  var store = {
    read: function () {
      try {
        return window.sessionStorage.getItem(KEY_ITEM) || '';
      } catch (e) {
        return '';
      }
    },
    write: function (value) {
      try {
        if (value) window.sessionStorage.setItem(KEY_ITEM, value);
        else window.sessionStorage.removeItem(KEY_ITEM);
      } catch (e) {
        /* kept in memory only */
      }
    },
  };

  // A key is given as typed, or pasted with its "Bearer " prefix.
  function tidyKey(raw) {
    return String(raw || '').trim().replace(/^bearer\s+/i, '');
  }

  // Header values are printable ASCII; fetch() would throw on anything else.
  function isUsable(key) {
    return /^[\x21-\x7e]+$/.test(key);
  }

  // Takes `key` out of the fragment and out of the address bar, leaving the
  // rest of the fragment as it was. Null when there is none.
  function takeKeyFromFragment() {
    var found = null;
    var rest = window.location.hash.replace(/^#/, '').split('&').filter(function (part) {
      var match = /^key=(.*)$/.exec(part);
      if (!match) return part !== '';
      try {
        found = tidyKey(decodeURIComponent(match[1]));
      } catch (e) {
        found = tidyKey(match[1]);
      }
      return false;
    });
    if (found === null) return null;
    window.history.replaceState(
      window.history.state,
      '',
      window.location.pathname + window.location.search + (rest.length ? '#' + rest.join('&') : '')
    );
    return found;
  }

  // ---- fetcher -------------------------------------------------------------

  // Header names are compared without regard to case, so that what is entered
  // in the headers tab replaces a default instead of being appended to it.
  function mergeHeaders(defaults, entered) {
    var merged = {};
    [defaults, entered || {}].forEach(function (headers) {
      Object.keys(headers).forEach(function (name) {
        merged[name.toLowerCase()] = headers[name];
      });
    });
    return merged;
  }

  function authorization(key) {
    return key ? { authorization: 'Bearer ' + key } : {};
  }

  function isSubscription(params, options) {
    var document = options && options.documentAST;
    if (!document) return false;
    var operations = document.definitions.filter(function (definition) {
      return definition.kind === 'OperationDefinition';
    });
    var chosen = operations.filter(function (definition) {
      return definition.name && definition.name.value === params.operationName;
    })[0] || operations[0];
    return Boolean(chosen) && chosen.operation === 'subscription';
  }

  // GraphiQL prints an error's stack when there is one; it says nothing here.
  function failure(message) {
    var error = new Error(message);
    error.stack = undefined;
    return error;
  }

  async function post(params, headers, onStatus) {
    var request = {
      method: 'POST',
      headers: mergeHeaders(
        {
          'content-type': 'application/json',
          accept: 'application/graphql-response+json, application/json;q=0.9',
        },
        headers
      ),
      body: JSON.stringify(params),
      credentials: 'same-origin',
    };
    var response;
    try {
      response = await window.fetch(ENDPOINT, request);
    } catch (e) {
      throw failure('The request could not be sent: ' + e.message);
    }
    onStatus(response.status);
    var text = await response.text();
    var body;
    try {
      body = JSON.parse(text);
    } catch (e) {
      body = null;
    }
    if (body !== null && typeof body === 'object' && ('data' in body || 'errors' in body)) {
      return body;
    }
    throw failure(
      'HTTP ' + response.status + (response.statusText ? ' ' + response.statusText : '') +
        (text ? ': ' + text.slice(0, 2000) : '')
    );
  }

  function socketUrl() {
    var url = new URL(ENDPOINT, window.location.href);
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
    return url.href;
  }

  function socketError(reason) {
    if (Array.isArray(reason) || reason instanceof Error) return reason;
    if (reason && typeof reason.code === 'number') {
      return failure(
        'The socket was closed (' + reason.code + (reason.reason ? ': ' + reason.reason : '') + ').'
      );
    }
    return failure('The socket could not be opened.');
  }

  // One fetcher per key. `close` ends the subscriptions still running on it.
  function createConnection(key, onStatus) {
    var running = new Set();

    function subscribe(params, headers, report) {
      return {
        subscribe: function (observer) {
          var connected = false;
          var client = window.graphqlWs.createClient({
            url: socketUrl(),
            connectionParams: mergeHeaders(authorization(key), headers),
            // A connection that was lost is taken up again; one that was never
            // accepted, or that the server ended for a reason of its own
            // (4000 and above), is reported.
            retryAttempts: 3,
            shouldRetry: function (event) {
              return connected && Boolean(event) && !(event.code >= 4000);
            },
            on: {
              connected: function () {
                connected = true;
              },
            },
          });
          var unsubscribe = client.subscribe(
            {
              query: params.query,
              variables: params.variables,
              operationName: params.operationName,
            },
            {
              next: function (result) {
                observer.next(result);
              },
              error: function (reason) {
                finish();
                if (reason && (reason.code === 4401 || reason.code === 4403)) report(401);
                observer.error(socketError(reason));
              },
              complete: function () {
                finish();
                observer.complete();
              },
            }
          );
          function finish() {
            running.delete(stop);
            client.dispose();
          }
          function stop() {
            unsubscribe();
          }
          running.add(stop);
          return { unsubscribe: stop };
        },
      };
    }

    return {
      fetcher: function (params, options) {
        var entered = mergeHeaders({}, options && options.headers);
        // What the server says of an Authorization header entered by hand says
        // nothing about the key.
        var report = 'authorization' in entered ? function () {} : onStatus;
        if (isSubscription(params, options)) return subscribe(params, entered, report);
        return post(params, mergeHeaders(authorization(key), entered), report);
      },
      close: function () {
        Array.from(running).forEach(function (stop) {
          stop();
        });
      },
    };
  }

  // ---- page ----------------------------------------------------------------

  function byId(id) {
    return document.getElementById(id);
  }

  var form = byId('key-form');
  var input = byId('key-input');
  var held = byId('key-held');
  var status = byId('key-status');

  var root = window.ReactDOM.createRoot(byId('graphiql'));
  var key = '';
  var connection = null;

  function mask(value) {
    return value.length > 12 ? value.slice(0, 7) + '…' + value.slice(-2) : '••••••';
  }

  function showKey(editing) {
    form.hidden = Boolean(key) && !editing;
    held.hidden = !form.hidden;
    byId('key-cancel').hidden = !key;
    byId('key-masked').textContent = key ? mask(key) : '';
    input.value = '';
  }

  function useKey(value) {
    key = value;
    store.write(key);
    showKey(false);
    status.textContent = '';
    if (connection) connection.close();

    var current = createConnection(key, function (code) {
      if (current !== connection) return;
      if (code === 401 || code === 403) {
        status.textContent = key
          ? 'The server did not accept this key.'
          : 'The server asks for an API key.';
      } else if (code < 400) {
        status.textContent = '';
      }
    });
    connection = current;

    // A new fetcher makes GraphiQL read the schema again; tabs stay as they are.
    root.render(
      window.React.createElement(window.GraphiQL, {
        fetcher: current.fetcher,
        defaultQuery: DEFAULT_QUERY,
        defaultEditorToolsVisibility: false,
      })
    );
  }

  form.addEventListener('submit', function (event) {
    event.preventDefault();
    var entered = tidyKey(input.value);
    if (isUsable(entered)) {
      useKey(entered);
    } else {
      status.textContent = entered ? 'That does not look like an API key.' : '';
      input.focus();
    }
  });
  byId('key-change').addEventListener('click', function () {
    showKey(true);
    input.focus();
  });
  byId('key-cancel').addEventListener('click', function () {
    showKey(false);
  });
  byId('key-forget').addEventListener('click', function () {
    useKey('');
    input.focus();
  });
  window.addEventListener('hashchange', function () {
    var given = takeKeyFromFragment();
    if (given !== null && isUsable(given)) useKey(given);
  });

  var given = takeKeyFromFragment();
  useKey(given !== null && isUsable(given) ? given : store.read());
})();
