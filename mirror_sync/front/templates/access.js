// Whether they may: mirror_sync/front/hub/doorkeeper.py and mirror_sync/domain/access/rights.py in JavaScript.

import answers from 'answers.js';
import tables from 'tables.js';

const RULES = tables.ACCESS;
const READ = 'read', SEE = 'see', HIDDEN = 'hidden';

// ---- who asks

// Who asks, of what `reader` has said; an error for anything else, which is then no answer at all.
function parsed(said) {
    const words = (said || '').split(' ');
    if (words.length !== 5 || RULES.badges.indexOf(words[0]) < 0) {
        throw new Error('nobody knows who asks');
    }
    const barred = ['none', 'unknown', 'held'].indexOf(words[0]) < 0;
    return {badge: words[0], role: words[0] === 'held' ? words[1] : '', name: words[2], said: words[3], barred};
}

// Where nginx asks itself, it is told who asks: what it asks for is kept for these alone, whatever the file says meanwhile.
function who(r) {
    return parsed(r.variables.asks_itself ? r.headersIn['X-Reader'] : r.variables.reader);
}

// ---- what they may

function roleOf(role) {
    return (role && RULES.roles[role]) || {read: [], see: []};
}

function holdsRepo(sets, kinds, id) {
    return sets.some((one) => (one[0] === '' || one[0] === kinds) && one[1].test(id));
}

function isPublic(kinds, id, closed) {
    const opened = RULES.opened.some((one) => holdsRepo(one.named, kinds, id) && !holdsRepo(one.denied, kinds, id));
    const shut = closed && !RULES.all_opened && !opened;
    return RULES.anonymous.some((one) => holdsRepo([one], kinds, id) && (one[2] || !shut));
}

function mayBePublic(kinds, id) {
    return holdsRepo(RULES.anonymous, kinds, id);
}

function decide(role, kinds, id, closed) {
    const own = roleOf(role);
    if (holdsRepo(own.read, kinds, id) || isPublic(kinds, id, closed)) {
        return READ;
    }
    return holdsRepo(own.see, kinds, id) ? SEE : HIDDEN;
}

function hasAll(sets) {
    return sets.some((one) => one[0] === '');
}

function mayEnter(role) {
    const own = roleOf(role);
    return RULES.anonymous.length + own.read.length + own.see.length > 0;
}

function readsAll(role) {
    return hasAll(roleOf(role).read) || (RULES.all_opened && hasAll(RULES.anonymous));
}

function seesAll(role) {
    return readsAll(role) || hasAll(roleOf(role).see);
}

// ---- refusals

// A message with words in its braces, as they are: `replace` would read a dollar in them.
function filled(message, words) {
    return Object.keys(words).reduce((text, name) => text.split('{' + name + '}').join(words[name]), message);
}

function unauthorized(message) {
    return answers.refusal(401, message, '', {'WWW-Authenticate': RULES.challenge});
}

function wanted(asking) {
    return asking.badge === 'none' ? tables.MESSAGES.token : tables.MESSAGES.strange;
}

function tokenWanted(asking) {
    return unauthorized(wanted(asking) + '; ask ' + RULES.whom + ' for one');
}

function barred(asking) {
    if (asking.badge === 'outside') {
        return answers.refusal(403, filled(tables.MESSAGES.outside, {client: asking.said}));
    }
    const said = filled(RULES.barred[asking.badge], {name: asking.name, said: asking.said});
    return unauthorized(said + '; ask ' + RULES.whom);
}

// What is answered of a repo that is not here, or that is not here for this reader: both are the same.
function unfound(asking, repo) {
    if (!mayEnter(asking.role) || (asking.badge === 'unknown' && !mayBePublic(repo.kinds, repo.id))) {
        return tokenWanted(asking);
    }
    return Object.assign(answers.refusal(404, tables.MESSAGES.repo, 'RepoNotFound'), {repo});
}

function seeOnly(asking, id) {
    const message = filled(tables.MESSAGES.see_only, {repo: id, role: asking.role, whom: RULES.whom});
    return answers.refusal(403, message, 'GatedRepo');
}

// ---- the door, before any route: what needs no look at a repo

// Whether the answer is for everybody; null where the repo has to be looked at.
function atDoor(asking, need) {
    if (need === 'nothing') {
        return true;
    }
    if (asking.barred) {
        throw barred(asking);
    }
    if (need === undefined) {
        return true;
    }
    if (need === 'entry') {
        if (!mayEnter(asking.role)) {
            throw tokenWanted(asking);
        }
        return !asking.role;
    }
    if (need !== 'all') {
        return null;
    }
    if (!readsAll(asking.role)) {
        throw asking.badge === 'unknown' ? tokenWanted(asking) : answers.refusal(404, tables.MESSAGES.not_all);
    }
    return !asking.role || readsAll('');
}

// The same for a repo of which something is published, or was; `closed` says whether its upstream closes it.
function atRepo(asking, need, repo, closed, hasSnapshots) {
    const sight = decide(asking.role, repo.kinds, repo.id, closed);
    if (sight === HIDDEN) {
        throw unfound(asking, repo);
    }
    if (sight === SEE && need !== 'see' && hasSnapshots) {
        throw seeOnly(asking, repo.id);
    }
    return isPublic(repo.kinds, repo.id, closed);
}

export default { atDoor, atRepo, decide, isPublic, mayBePublic, seesAll, tokenWanted, unauthorized, unfound, wanted, who };
