// Finds entries in the text of listing shards, which are never parsed whole: mirror_sync/front/hub/listing.py in JavaScript.
//
// A shard has one JSON entry a line, sorted by percent-encoded path. Within a string JSON escapes every quote and line
// feed, so '"path":"' and a line feed can only stand where the format puts them.

import tables from 'tables.js';

const EMPTY = '[\n\n]\n';
const FEW = 2000;  // bytes of a shard that are looked through
const MANY = 40;  // searches of a shard by halves, which take as long as to go through it
const SEGMENT = 64;  // shards that are counted at once
const PAST_SLASH = '0';  // follows '/' in ASCII: past everything inside a folder
const NOT_PLAIN = /[^A-Za-z0-9_.~\/\-]/;  // in njs a dollar also matches before a line feed at the end
const PATH = /"path":("[^"\\]*(?:\\.[^"\\]*)*"),/;
const PLAIN = /"path":"([A-Za-z0-9_.~\/\-]*)",/;
const NOT_ASCII = /[^ -~]|\\/;  // or a backslash
const FOLDER = /^[^"\\\/]*(?:\\.[^"\\\/]*)*\//;  // within a JSON string, up to the next slash

// In njs 0.7.9 a reply's text counts bytes where other strings count characters. So here no length of the one is an
// offset in the other, and no regular expression is matched globally over such a text, which would run for ever.

// The percent-encoding by which paths are sorted: all but letters, digits and _.-~/
function sortKey(path) {
    return !NOT_PLAIN.test(path) ? path : path.split('/').map(encodePart).join('/');
}

function encodePart(part) {
    return encodeURIComponent(part).replace(/[!'()*]/g, (c) => '%' + c.charCodeAt(0).toString(16).toUpperCase());
}

// The number of shards whose first path lies before `key`, or at it when `inclusive`.
function countBefore(root, key, inclusive) {
    let low = 0, high = root.shards.length;
    while (low < high) {
        const middle = (low + high) >> 1;
        const first = root.shards[middle][0];
        if (first < key || (inclusive && first === key)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

// The number of the only shard that can hold `path`.
function shardFor(root, path) {
    return Math.max(countBefore(root, sortKey(path), true) - 1, 0);
}

// The number of the only shard that can hold what sorts as `key`.
function shardAt(root, key) {
    return Math.max(countBefore(root, key, true) - 1, 0);
}

function firstShard(root, folder) {
    return folder ? shardFor(root, folder + '/') : 0;
}

// The number after the last shard that can hold something under `folder`.
function endShard(root, folder) {
    return folder ? countBefore(root, sortKey(folder) + PAST_SLASH, false) : root.shards.length;
}

// The entry of `path` as it stands in the shard, or null.
function find(shard, path) {
    return locate(shard, sought(path), 2).line;
}

// A path, how it stands in a line, and how it is sorted.
function sought(path) {
    return {path, key: sortKey(path), name: '"path":' + JSON.stringify(path) + ','};
}

// The same, and where the line behind it begins; `from` is the beginning of a line that is not behind it. Lines are in order: a
// text is halved until it is short, since to look through all of it takes njs longer than all else. Who asks for paths in
// their order mostly finds each right behind the one before.
function locate(shard, wanted, from) {
    const first = shard.slice(from, endOf(shard, from));
    if (first.indexOf(wanted.name) >= 0) {
        return {line: withoutComma(first), next: from + first.length + 1, halved: false};
    }
    let low = from, high = shard.length - 3;
    while (high - low > FEW) {
        const start = shard.lastIndexOf('\n', (low + high) >> 1) + 1;
        const here = start <= low ? null : keyIn(shard.slice(start, endOf(shard, start)));
        if (here === null) {
            break;
        }
        if (here <= wanted.key) {
            low = start;
        } else {
            high = start;
        }
    }
    const rest = shard.slice(low, high), at = rest.indexOf(wanted.name);
    if (at < 0) {
        return {line: null, next: low, halved: true};
    }
    const begin = rest.lastIndexOf('\n', at) + 1, end = endOf(rest, at);
    return {line: withoutComma(rest.slice(begin, end)), next: low + end + 1, halved: true};
}

// How the path of a line is sorted, null for what is no line. A plain path, as almost all are, is its own key: one expression
// in place of three, of which each takes njs longer than all else here.
function keyIn(line) {
    const plain = PLAIN.exec(line), named = plain ? null : PATH.exec(line);
    return plain ? plain[1] : named ? sortKey(unquoted(named[1])) : null;
}

// A path as characters, which a slice of a reply's text is not.
function unquoted(text) {
    return NOT_ASCII.test(text) ? JSON.parse(text) : text.slice(1, -1);
}

function endOf(text, at) {
    const end = text.indexOf('\n', at);
    return end < 0 ? text.length : end;
}

// The entries of those of `paths` that there are, in the order asked. Each shard is read and gone through once.
async function findAll(root, read, paths) {
    const wanted = {}, asked = paths.map(sought);
    asked.forEach((one) => {
        const number = shardAt(root, one.key);
        (wanted[number] = wanted[number] || []).push(one);
    });
    const numbers = Object.keys(wanted);
    for (let i = 0; i < numbers.length; i++) {
        const shard = await read(Number(numbers[i]));
        pick(shard, wanted[numbers[i]]);
    }
    return asked.map((one) => one.line).filter((line) => line);
}

// Says of several paths of a shard what their entries are: one by one in the order of the lines; when many of them were far
// apart, of the others in one pass over all lines.
function pick(shard, wanted) {
    const ordered = wanted.sort((one, other) => one.key < other.key ? -1 : one.key > other.key ? 1 : 0);
    let from = 2, halved = 0, at = 0;
    for (; at < ordered.length && halved < MANY; at++) {
        const here = locate(shard, ordered[at], from);
        ordered[at].line = here.line;
        from = here.next;
        halved += here.halved ? 1 : 0;
    }
    if (at < ordered.length) {
        pickAll(shard, ordered.slice(at));
    }
}

function pickAll(shard, wanted) {
    const here = Object.create(null);
    wanted.forEach((one) => {
        here[one.name] = one;
    });
    lines(shard).forEach((line) => {
        const named = PATH.exec(line), one = named && here['"path":' + named[1] + ','];
        if (one) {
            one.line = line;
        }
    });
}

// The entries of a shard.
function lines(shard) {
    return shard === EMPTY ? [] : shard.slice(2, -3).split(',\n');
}

function withoutComma(line) {
    return line.endsWith(',') ? line.slice(0, -1) : line;
}

// The entries of a shard that lie under `folder`, at any depth or directly.
function foundIn(shard, folder, recursive) {
    const start = pathStart(folder), all = lines(shard);
    if (recursive) {
        return folder ? all.filter((line) => line.indexOf(start) >= 0) : all;
    }
    return all.filter((line) => {
        const rest = line.split(start)[1];
        return rest !== undefined && !FOLDER.test(rest);
    });
}

// What stands in every entry under `folder`, and in no other.
function pathStart(folder) {
    return '"path":"' + (folder ? JSON.stringify(folder + '/').slice(1, -1) : '');
}

// What a listing has from `start` on, null: from its beginning; `read` gives the text of a shard by number. Shards are
// joined until the page is full (`most` entries, or as many as the Hub has), and what holds only deeper paths than are wanted
// is not read.
async function page(root, read, folder, recursive, start, most) {
    const end = endShard(root, folder), full = most || tables.PAGE;
    let number = start ? start.shard : firstShard(root, folder), skip = start ? start.entry : 0, entries = [], weight = 0;
    while (number < end) {
        const shard = await read(number);
        const found = foundIn(shard, folder, recursive), stop = skip + full - entries.length, here = found.slice(skip, stop);
        entries = entries.concat(here);
        weight += here.reduce((sum, line) => sum + line.length, 0);
        if (found.length > stop || weight > tables.HEAVY) {
            return {entries, next: {shard: number, entry: Math.min(stop, found.length)}};
        }
        number = Math.max(number + 1, recursive ? 0 : shardAfterChild(root, shard, folder));
        skip = 0;
    }
    return {entries, next: null};
}

// Where a recursive listing of `folder` goes on behind its first `entries`, null where it has no more. Shards between the first
// and the last of a folder hold nothing else; `counted` tells how many entries some of them have.
async function placeAfter(root, read, counted, folder, entries) {
    const first = firstShard(root, folder), end = endShard(root, folder);
    let left = entries, segment = -1, counts = [];
    for (let number = first; number < end; number++) {
        let here = 0;
        if (!folder || (number > first && number < end - 1)) {
            if (segment !== Math.floor(number / SEGMENT)) {
                segment = Math.floor(number / SEGMENT);
                counts = await counted(segment);
            }
            here = counts[number % SEGMENT];
        } else {
            const shard = await read(number);
            here = foundIn(shard, folder, true).length;
        }
        if (left < here) {
            return {shard: number, entry: left};
        }
        left -= here;
    }
    return null;
}

// How many entries a shard has.
function count(shard) {
    return shard === EMPTY ? 0 : shard.split('\n').length - 3;
}

// The shard in which the child of `folder` that the shard's last line belongs to has ended.
function shardAfterChild(root, shard, folder) {
    if (shard === EMPTY) {
        return 0;
    }
    const last = JSON.parse(shard.slice(shard.lastIndexOf('\n', shard.length - 4) + 1, -3)).path;
    const prefix = folder ? folder + '/' : '';
    const slash = last.startsWith(prefix) ? last.indexOf('/', prefix.length) : -1;
    return slash < 0 ? 0 : shardFor(root, last.slice(0, slash) + PAST_SLASH);
}

// A JSON array of entries, with the Hub's `lastCommit` in each when it is given.
function array(entries, lastCommit) {
    let body = entries.join(',\n');
    if (lastCommit) {
        body = ('\n' + body).split('\n{').join('\n{"lastCommit":' + JSON.stringify(lastCommit) + ',');
    }
    return '[' + body + ']';
}

// The path of an entry.
function pathOf(line) {
    return unquoted(PATH.exec(line)[1]);
}

export default { SEGMENT, array, count, endShard, find, findAll, firstShard, lines, page, pathOf, placeAfter, shardAt, shardFor, sortKey };
