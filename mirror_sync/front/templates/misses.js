// What becomes of a refusal because a repo is not here: mirror_sync/front/misses in JavaScript. nginx's own location knows
// where the daemon is, the secret, and how long it is waited for.

import access from 'access.js';
import answers from 'answers.js';
import lists from 'lists.js';
import tables from 'tables.js';

const qs = require('querystring');

const OWN = tables.MISSES;

// What the daemon says of a repo, as it was written; null where nobody answers.
async function ask(r, what, text, about) {
    const asking = access.who(r), at = about || r.variables.request_uri;
    if (!OWN.target || at.length > OWN.longest) {
        return null;
    }
    const said = {what, target: OWN.target, repo: text, method: r.method, at,
                  name: asking.badge === 'held' ? asking.name : '', role: asking.role, client: r.variables.remote_addr};
    const reply = await r.subrequest('/-/daemon', {method: 'GET', args: qs.stringify(said)});
    if (reply.status !== 200) {
        return null;
    }
    try {
        return JSON.parse(reply.responseText);
    } catch (error) {
        return null;
    }
}

// What is said of a file that lies in a cold tier, which gives nothing at once; null where the daemon knows nothing of it, and
// it is not `known` to be there. `key` is the blob's.
async function frozen(r, repo, key, known) {
    const text = repo ? repo.kinds.slice(0, -1) + ':' + repo.id : '';
    const said = await ask(r, 'thaw', text, '/' + key);
    if (said !== null && said.status === 503) {
        return answers.refusal(503, said.message, '', {'Retry-After': passed(said.headers)['Retry-After'] || OWN.cold_again});
    }
    const told = OWN.cold + '; ask ' + tables.ACCESS.whom + ' to have it brought back';
    return known ? answers.refusal(503, told, '', {'Retry-After': OWN.cold_again}) : null;
}

// The refusal with what the daemon has to say; null where the reader was answered.
async function told(r, refusal, route) {
    const what = route && OWN.kinds[route], repo = refusal.repo;
    if (OWN.modes.indexOf(OWN.mode) < 0 || !what || !repo || refusal.code !== 'RepoNotFound') {
        return refusal;
    }
    if (tables.READABLE.indexOf(r.method) < 0 || (OWN.in_modes[what] || OWN.modes).indexOf(OWN.mode) < 0) {
        return refusal;
    }
    const decided = await isDecided(r, repo);
    if (decided) {
        return refusal;
    }
    const said = await ask(r, what, repo.kinds.slice(0, -1) + ':' + repo.id);
    if (said === null) {
        return worded(refusal, OWN.nobody[OWN.mode]);
    }
    if (what === OWN.other) {  // in the words and with the status of that door
        return worded(refusal, said.message ? '; ' + said.message[0].toLowerCase() + said.message.slice(1) : '');
    }
    const headers = passed(said.headers);
    if (said.status === 307 && headers.Location) {
        redirect(r, headers);
        return null;
    }
    if (said.code) {
        const pinned = headers['X-Repo-Commit'] ? {'X-Repo-Commit': headers['X-Repo-Commit']} : {};
        return answers.refusal(said.status, OWN.no_longer[said.code] || refusal.message, said.code, pinned);
    }
    if (said.status === 503) {
        return answers.refusal(503, said.message, '', {'Retry-After': headers['Retry-After'] || '10'});
    }
    return worded(refusal, said.message ? '; ' + said.message : '');
}

// Whether a rule or a person does not want a repo here, as far as this reader may know.
async function isDecided(r, repo) {
    const role = access.who(r).role;
    if (!tables.SITE || access.decide(role, repo.kinds, repo.id, false) === 'hidden') {
        return false;
    }
    const known = await lists.known(r, repo.kinds, repo.id, access.seesAll(role));
    return known !== null && (tables.DECIDED.indexOf(known.state) >= 0 || known.state === 'gone');
}

function worded(refusal, more) {
    return Object.assign({}, refusal, {message: refusal.message + more});
}

// Nothing of the daemon's headers goes to a reader but these.
function passed(headers) {
    const found = {};
    OWN.passed.filter((name) => headers && typeof headers[name] === 'string').forEach((name) => {
        found[name] = headers[name];
    });
    return found;
}

function redirect(r, headers) {
    const location = headers.Location;
    delete headers.Location;
    r.variables.kept_for = '';
    answers.redirect(r, 307, Object.assign({'Cache-Control': tables.CACHING.never}, headers), location);
}

export default { ask, frozen, told };
