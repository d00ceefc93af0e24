/* The reference page: shows /openapi.json. All texts go in as text, never as HTML. */
(function () {
  'use strict';

  var METHODS = ['get', 'post', 'put', 'patch', 'delete'];
  var main = document.getElementById('main');
  var nav = document.getElementById('nav');

  // An element with attributes and children; texts become text nodes.
  function make(name, attributes, children) {
    var element = document.createElement(name);
    Object.keys(attributes || {}).forEach(function (key) {
      element.setAttribute(key, attributes[key]);
    });
    (children || []).forEach(function (child) {
      if (child === null || child === undefined) return;
      element.append(child);
    });
    return element;
  }

  // `words` in backquotes become code.
  function inline(text) {
    return String(text).split('`').map(function (part, n) {
      return n % 2 ? make('code', {}, [part]) : part;
    });
  }

  // Paragraphs, and lines that begin with "- ".
  function prose(text) {
    return String(text || '').split(/\n\s*\n/).filter(Boolean).map(function (block) {
      var lines = block.split('\n');
      if (lines.every(function (line) { return line.indexOf('- ') === 0; })) {
        return make('ul', {}, lines.map(function (line) {
          return make('li', {}, inline(line.slice(2)));
        }));
      }
      return make('p', {}, inline(lines.join(' ')));
    });
  }

  function show(document_) {
    var schemas = (document_.components || {}).schemas || {};

    function resolve(schema) {
      var match = /^#\/components\/schemas\/(.+)$/.exec((schema || {}).$ref || '');
      return match ? schemas[match[1]] || {} : schema || {};
    }

    // What a value is, in a word or two.
    function kind(schema) {
      schema = schema || {};
      if (schema.$ref) return schema.$ref.split('/').pop().split('_')[0];
      if (schema.oneOf) {
        return schema.oneOf.map(kind).filter(Boolean).join(' or ');
      }
      if (schema.enum) return 'one of';
      var types = [].concat(schema.type || []);
      var words = types.map(function (type) {
        if (type === 'array') return 'list of ' + (kind(schema.items) || 'values');
        if (type === 'string' && schema.format) return schema.format;
        return type;
      });
      return words.join(' or ');
    }

    // The properties of an object, with those of the objects it is made of.
    function properties(schema) {
      schema = resolve(schema);
      var found = [];
      (schema.allOf || []).forEach(function (part) {
        found = found.concat(properties(part));
      });
      var required = schema.required || [];
      Object.keys(schema.properties || {}).forEach(function (name) {
        found.push({
          name: name,
          schema: schema.properties[name],
          required: required.indexOf(name) >= 0,
        });
      });
      return found;
    }

    // The schema whose properties are worth showing below a value.
    function inner(schema) {
      schema = schema || {};
      if (schema.items) return inner(schema.items);
      var one = (schema.oneOf || []).filter(function (part) { return part.$ref; })[0];
      return one || schema;
    }

    function fields(schema, seen) {
      var rows = properties(schema).map(function (property) {
        var below = inner(property.schema);
        var name = below.$ref || '';
        var nested = properties(below).length && seen.indexOf(name) < 0
          ? make('details', {}, [
              make('summary', {}, ['its fields']),
              fields(below, seen.concat([name])),
            ])
          : null;
        return row(
          property.name,
          property.schema,
          property.required,
          property.schema.description || resolve(property.schema).description,
          nested
        );
      });
      return table(rows);
    }

    function row(name, schema, required, description, nested) {
      var words = (resolve(inner(schema)).enum || []).map(function (word) {
        return make('code', {}, [String(word)]);
      });
      var listed = words.length > 0 && words.length <= 12
        ? make('p', {}, words.reduce(function (all, word) {
            return all.concat(all.length ? [' ', word] : [word]);
          }, []))
        : null;
      return make('tr', {}, [
        make('td', {}, [
          make('code', {}, [name]),
          required ? make('span', { class: 'needed' }, ['required']) : null,
        ]),
        make('td', {}, [kind(schema)]),
        make('td', {}, prose(description).concat([listed, nested])),
      ]);
    }

    function table(rows) {
      return make('table', {}, [
        make('thead', {}, [
          make('tr', {}, ['Name', 'Is', 'Means'].map(function (title) {
            return make('th', {}, [title]);
          })),
        ]),
        make('tbody', {}, rows),
      ]);
    }

    function content(bodies) {
      return Object.keys(bodies || {}).map(function (media) {
        var schema = bodies[media].schema || {};
        var below = inner(schema);
        return make('details', {}, [
          make('summary', {}, [make('code', {}, [media]), ' ', kind(schema)]),
          properties(below).length ? fields(below, [below.$ref || '']) : null,
        ]);
      });
    }

    function curl(method, path, operation) {
      var address = window.location.origin + path.replace(/\{(\w+)\}/g, '<$1>');
      var asked = (operation.parameters || []).filter(function (parameter) {
        return parameter.in === 'query' && parameter.required;
      }).map(function (parameter) {
        return parameter.name + '=' +
          (parameter.name === 'to' ? '2026-04-01T00:00:00Z' : '2026-03-01T00:00:00Z');
      });
      if (asked.length) address += '?' + asked.join('&');
      var lines = ["curl -s '" + address + "'", '-H "Authorization: Bearer $KEY"'];
      var media = Object.keys((operation.requestBody || {}).content || {})[0];
      if (media) lines.push("-H 'Content-Type: " + media + "'", '--data-binary @body.json');
      return make('pre', {}, [lines.join(' \\\n  ')]);
    }

    function address(method, path, operation) {
      var parts = [
        make('h3', {}, [
          make('span', { class: 'method' }, [method.toUpperCase()]),
          make('code', {}, [path]),
        ]),
      ].concat(prose(operation.summary), prose(operation.description));
      parts.push(curl(method, path, operation));
      if ((operation.parameters || []).length) {
        parts.push(make('h4', {}, ['Parameters']));
        parts.push(table(operation.parameters.map(function (parameter) {
          return row(
            parameter.name, parameter.schema, parameter.required, parameter.description, null
          );
        })));
      }
      if (operation.requestBody) {
        parts.push(make('h4', {}, ['Body']));
        parts = parts.concat(content(operation.requestBody.content));
      }
      Object.keys(operation.responses || {}).forEach(function (status) {
        var response = operation.responses[status];
        parts.push(make('h4', {}, [status === 'default' ? 'Otherwise' : status]));
        parts = parts.concat(prose(response.description), content(response.content));
      });
      return make('section', { class: 'address', id: operation.operationId || path }, parts);
    }

    document.getElementById('version').textContent = document_.info.version;
    main.replaceChildren(
      make('section', {}, [make('h1', {}, [document_.info.title])].concat(
        prose(document_.info.description)
      ))
    );
    (document_.tags || []).forEach(function (tag) {
      var sections = [];
      var links = [];
      Object.keys(document_.paths).forEach(function (path) {
        METHODS.forEach(function (method) {
          var operation = document_.paths[path][method];
          if (!operation || (operation.tags || []).indexOf(tag.name) < 0) return;
          sections.push(address(method, path, operation));
          links.push(make('li', {}, [
            make('a', { href: '#' + (operation.operationId || path) }, [
              make('span', { class: 'method' }, [method.toUpperCase()]), path,
            ]),
          ]));
        });
      });
      nav.append(make('h2', {}, [tag.name]), make('ul', {}, links));
      main.append(make('section', {}, [make('h2', {}, [tag.name])].concat(
        prose(tag.description), sections
      )));
    });
    // The place that the address names was not there when the page was loaded.
    var wanted = document.getElementById(decodeURIComponent(window.location.hash.slice(1)));
    if (wanted) wanted.scrollIntoView();
  }

  window.fetch('/openapi.json', { credentials: 'same-origin' }).then(function (answer) {
    if (!answer.ok) throw new Error('HTTP ' + answer.status);
    return answer.json();
  }).then(show).catch(function (error) {
    document.getElementById('status').textContent =
      'openapi.json could not be shown: ' + error.message;
  });
})();
