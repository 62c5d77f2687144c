// What a front answers: JSON, refusals with the Hub's error codes, and blobs, which nginx's own locations send.

import tables from 'tables.js';

const JSON_TYPE = 'application/json; charset=utf-8';

function refusal(status, message, code, headers) {
    return {refused: true, status, message, code, headers: headers || {}};
}

// What was asked for is published under another id.
function elsewhere(id) {
    return {elsewhere: id, message: 'published as ' + id};
}

// An address that a route has and its protocol has not: answered as if no route had it.
function unanswered() {
    return {unanswered: true, message: 'nothing is here'};
}

function entryNotFound(commit) {
    return refusal(404, tables.MESSAGES.entry, 'EntryNotFound', commit ? {'X-Repo-Commit': commit} : {});
}

function setHeaders(r, headers) {
    const said = r.variables.kept_for ? Object.assign({}, headers, {Vary: varied(r, headers.Vary)}) : headers;
    Object.keys(said).forEach((name) => {
        r.headersOut[name] = name === 'Cache-Control' ? cachingFor(r, said[name]) : said[name];
    });
    if (r.variables.as_of && !isImmutable(headers['Cache-Control'])) {
        r.headersOut['X-Mirror-Published'] = r.variables.as_of;
    }
    if (r.variables.kept_for === 'one' && r.variables.asks_itself) {
        r.headersOut['X-Accel-Expires'] = '0';  // nginx keeps nothing of what is for one reader, and tells no one this
    }
}

// The same in all replicas, however late.
function isImmutable(caching) {
    return /immutable/.test(caching || '');
}

function varied(r, by) {
    const manners = mannersAt(r), token = manners ? manners.tokens_in : 'Authorization';
    return by ? by + ', ' + token : token;
}

// For whom a cache may keep what is given to this reader.
function cachingFor(r, value) {
    return r.variables.kept_for && r.variables.kept_for !== 'all' ? value.replace('public', 'private') : value;
}

function send(r, status, headers, body) {
    const kept = status !== 200 || meets(r);
    setHeaders(r, kept ? headers : {'Cache-Control': tables.CACHING.never});
    r.return(kept ? status : 412, kept ? body : '');
}

// Whether an answer of the script may be had under If-Match and If-Unmodified-Since. nginx compares with no tag or date of a
// script's: it would refuse by a page of its own, and take the script's state away while the script is at it.
function meets(r) {
    const match = r.headersIn['If-Match'];
    return r.headersIn['If-Unmodified-Since'] === undefined && (match === undefined || match.trim() === '*');
}

// As serve does: nginx's own redirects have a page.
function redirect(r, status, headers, location) {
    r.status = status;
    setHeaders(r, Object.assign({'Location': location, 'Content-Length': '0'}, headers));
    r.sendHeader();
    r.finish();
}

// As a header can have it: a reason has whatever letters an upstream likes.
function plain(message) {
    return message.split(/\s+/).join(' ').replace(/[^ -~]+/g, '?');
}

function refuse(r, error) {
    r.variables.kept_for = '';  // no cache keeps a refusal: nothing is said of whom one might be for
    const name = error.form && error.form !== 'json' ? error.form : formAt(r), form = tables.FORMS[name];
    if (name === 's3') {
        return refuseS3(r, error);
    }
    const headers = Object.assign({'Content-Type': form[0], 'Cache-Control': tables.CACHING.never,
                                   'X-Error-Message': plain(error.message)}, error.headers);
    if (error.code) {
        headers['X-Error-Code'] = error.code;
    }
    const said = Object.assign({}, form[2]);
    if (form[3]) {
        said[form[3]] = tables.NUMBERS[error.code] || error.status;
    }
    said[form[1]] = name === 'oci' ? [{code: registryCode(error), message: error.message}] : error.message;
    send(r, error.status, headers, form[1] ? JSON.stringify(said) : error.message + '\n');
}

function registryCode(error) {
    return tables.OCI_CODES[error.code] || tables.OCI_CODES[String(error.status)] || 'UNKNOWN';
}

// The raw path of a request, as routes have it: what is asked of the S3 door has an address of its own.
function pathOf(r) {
    return r.variables.s3_address || r.variables.request_uri.split('?')[0];
}

// Nobody who speaks S3 is asked for a name and a password.
function refuseS3(r, error) {
    const own = tables.OF.s3, written = own.WRITES.indexOf(error.status) >= 0;
    const message = written ? tables.MESSAGES.method : error.message;
    const headers = Object.assign({'Content-Type': own.XML, 'Cache-Control': tables.CACHING.never,
                                   'X-Error-Message': plain(message)}, error.headers);
    delete headers['WWW-Authenticate'];
    delete headers.Allow;
    if (error.code) {
        headers['X-Error-Code'] = error.code;
    }
    const code = own.CODES[error.code] || own.CODES[String(error.status)] || 'InternalError';
    send(r, own.STATUSES[String(error.status)] || error.status, headers,
         own.ERROR.split('{code}').join(code).split('{message}').join(inXml(message)));
}

// As a text of XML can have it; what no XML can hold is a question mark.
function inXml(text) {
    return text.replace(/[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/g, '?').replace(/&/g, '&amp;').replace(/</g, '&lt;')
        .replace(/>/g, '&gt;').replace(/"/g, '&quot;');
}

// How a refusal is told to who asks for an address.
function formAt(r) {
    const found = mannersAt(r);
    return found ? found.form : 'json';
}

function mannersAt(r) {
    const path = pathOf(r);
    return tables.MANNERS.filter((one) => one.addresses.test(path))[0];
}

function sendJson(r, text, headers) {
    send(r, 200, Object.assign({'Content-Type': JSON_TYPE, 'Cache-Control': tables.CACHING.moving}, headers), text);
}

// The headers of what a snapshot's listing says.
function settled(opened) {
    return {'X-Repo-Commit': opened.commit,
            'Cache-Control': opened.pinned ? tables.CACHING.settled : tables.CACHING.moving};
}

// The headers of an answer with a link in it: one that was made from what a client said is not for others to see.
function linked(link) {
    return tables.PUBLIC_URL ? {Link: link}
                             : {Link: link, 'Cache-Control': tables.CACHING.linked, 'Vary': tables.SAID};
}

// Whether the client holds what `etag` names. Our tags have no comma in them, so that others may be cut at theirs.
function isCurrent(r, etag) {
    const held = (r.headersIn['If-None-Match'] || '').split(',').map((tag) => tag.trim());
    return held.some((tag) => tag === etag || tag === 'W/' + etag || (tag === '*' && held.length === 1));
}

// Answers with a blob: one of nginx's own locations sends its bytes, and what needs none is answered here.
function sendBlob(r, blob) {
    const headers = blobHeaders(blob), large = r.method === 'HEAD' && blob.size > tables.SIZE_SAID_UP_TO;
    const unsaid = large && tables.SIZELESS.test(r.headersIn['User-Agent'] || '');
    if (large) {
        headers.Vary = 'User-Agent';
    }
    if (unsaid) {
        delete headers['X-Linked-Size'];
    }
    if (isCurrent(r, blob.etag)) {
        return send(r, 304, headers);
    }
    if (r.method === 'HEAD' && blob.size !== undefined && !blob.isCompared) {
        return sendHead(r, headers, unsaid ? null : blob.size);
    }
    const v = r.variables;
    v.blob_digest = blob.digest;
    v.blob_etag = blob.etag;
    v.blob_type = blob.type;
    v.blob_caching = cachingFor(r, blob.caching);
    v.blob_commit = blob.commit || '';
    v.blob_size = blob.linked || blob.sized ? String(blob.size) : '';
    v.blob_proof = blob.linked ? proofOf(blob) : '';
    v.blob_described = blob.described || '';
    (blob.duplicates || []).forEach((link, at) => {
        v['blob_duplicate_' + at] = link;
    });
    v.as_of = isImmutable(blob.caching) ? '' : v.as_of;
    r.internalRedirect(blob.location);
}

// A text of ASCII under a blob's headers: all of it, or the bytes of `span`.
function sendText(r, blob, text, span) {
    const headers = Object.assign(blobHeaders(blob), {'Accept-Ranges': 'bytes'});
    if (isCurrent(r, blob.etag)) {
        return send(r, 304, blobHeaders(blob));
    }
    if (span) {
        headers['Content-Range'] = 'bytes ' + span[0] + '-' + (span[1] - 1) + '/' + text.length;
    }
    send(r, span ? 206 : 200, headers, span ? text.slice(span[0], span[1]) : text);
}

// The SHA-256 of a whole file as Digest (RFC 3230) and Repr-Digest (RFC 9530) have it.
function proofOf(blob) {
    return Buffer.from(blob.digest, 'hex').toString('base64');
}

function blobHeaders(blob) {
    const headers = {'Content-Type': blob.type, 'Cache-Control': blob.caching, 'ETag': blob.etag};
    if (blob.commit) {
        headers['X-Repo-Commit'] = blob.commit;
    }
    if (blob.linked) {
        headers['X-Linked-Etag'] = blob.etag;
        headers['X-Linked-Size'] = String(blob.size);
        headers.Digest = 'SHA-256=' + proofOf(blob);
        headers['Repr-Digest'] = 'sha-256=:' + proofOf(blob) + ':';
    }
    if (blob.described) {
        headers.Link = blob.described;
    }
    if (blob.duplicates && blob.duplicates.length) {  // a header each, as aria2 reads one link of a header
        headers.Link = (blob.described ? [blob.described] : []).concat(blob.duplicates);
    }
    return Object.assign(headers, blob.more || {});
}

// What the location of pinned files needs to know of a blob.
function pointerHeaders(blob) {
    const links = {};
    (blob.duplicates || []).forEach((link, at) => {
        links['X-Blob-Duplicate-' + at] = link;
    });
    return Object.assign(links, {'X-Blob-Digest': blob.digest, 'X-Blob-Etag': blob.etag, 'X-Blob-Type': blob.type,
            'X-Blob-Commit': blob.commit, 'X-Blob-Caching': blob.caching, 'X-Blob-Size': String(blob.size),
            'X-Blob-Proof': proofOf(blob), 'X-Blob-Described': blob.described || ''});
}

// The head of a blob of `size` bytes; null: it says none.
function sendHead(r, headers, size) {
    if (!meets(r)) {
        return send(r, 200, headers, '');
    }
    r.status = 200;
    setHeaders(r, headers);
    r.headersOut['Accept-Ranges'] = 'bytes';
    if (size !== null) {
        r.headersOut['Content-Length'] = String(size);
    }
    r.sendHeader();
    r.finish();
}

export default { JSON_TYPE, cachingFor, elsewhere, entryNotFound, formAt, inXml, isCurrent, isImmutable, linked, pathOf, pointerHeaders, redirect, refusal, refuse, send, sendBlob,
                 sendHead, sendJson, sendText, setHeaders, settled, unanswered };
