// A large blob is read from S3 slice after slice, each by a subrequest of its own; a slow client takes hours for it.
// The variables of a request are those of all its subrequests.

import settings from 'settings.js';
import signing from 'signing.js';

function wanted(size) {
    return settings.SLICED_FROM !== null && size >= settings.SLICED_FROM;
}

// The head of an answer, or of a later slice, is about to be sent.
function begun(r) {
    r.variables.blob_begun = '1';
    if (settings.BUCKET.signed) {
        signing.renew(r);
    }
}

// What answers a request must not answer for a slice of it: it would stand among the file's bytes, and clients check
// nothing but their number. The connection ends instead. A range that is refused by nginx itself has begun nothing.
function never(answer) {
    return (r) => r.variables.blob_begun && !r.headersOut['Content-Range'] ? r.return(444) : answer(r);
}

export default { begun, never, wanted };
