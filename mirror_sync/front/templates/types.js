// The media type of what nginx's own locations send, and what nginx makes of a Range.

const SPAN = /^ *([0-9]{0,19}) *- *([0-9]{0,19}) *$/;
const PAST_OFFSETS = 9223372036854775807;  // no file is so long; nginx counts no further

// What comes from a bucket behind S3 has the type that it has here, before nginx asks whether to pack it.
function typed(r) {
    if (r.status !== 304) {
        r.headersOut['Content-Type'] = r.variables.blob_type;
    }
}

// The media type of a blob in the answer to a request with a Range; '' where nginx will find that no byte of it can be had:
// the refusal has a type of its own.
function rangedType(r) {
    const v = r.variables, condition = r.headersIn['If-Range'];
    const whole = condition !== undefined && condition !== v.blob_etag;
    return !whole && isBeyond(r.headersIn.Range, v.blob_size) ? '' : v.blob_type;
}

// As nginx reads it (ngx_http_range_parse of 1.22). `size` is '' where it is not known: then only what is no range is.
function isBeyond(range, size) {
    if (!/^bytes=./i.test(range)) {
        return false;
    }
    const spans = range.slice(6).split(',').map(spanOf);
    return spans.some((span) => span === null)
        || (size !== '' && spans.every((span) => span.start >= size || span.start > span.end));
}

// The first and the last byte of a range; a suffix has its beginning within any file that is not empty. Null for none.
function spanOf(text) {
    const found = SPAN.exec(text);
    if (!found || !(found[1] || found[2]) || Number(found[1]) >= PAST_OFFSETS || Number(found[2]) >= PAST_OFFSETS) {
        return null;
    }
    const start = found[1] ? Number(found[1]) : 0, end = found[1] && found[2] ? Number(found[2]) : Infinity;
    return found[1] || Number(found[2]) > 0 ? {start, end} : {start: Infinity, end};
}

export default { SPAN, rangedType, typed };
