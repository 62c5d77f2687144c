// Signs requests to a private bucket: AWS Signature Version 4, header form.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
//
// Keys are of letters, digits and "/._-", and the path before them comes percent-encoded from the configuration, so
// that the canonical URI is the URI. A Range is sent unsigned, which the scheme allows.

import settings from 'settings.js';

const crypto = require('crypto');

const NO_BODY = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';  // SHA-256 of nothing
const RENEW = 60000;  // milliseconds
const SIGNED_HEADERS = 'host;x-amz-content-sha256;x-amz-date';

// Now, as 20261120T080000Z.
function now() {
    return new Date().toISOString().replace(/[:\-]|\.\d+/g, '');
}

function hmac(key, text) {
    return crypto.createHmac('sha256', key).update(text).digest();
}

function scopeOf(date) {
    return date.slice(0, 8) + '/' + settings.BUCKET.region + '/s3/aws4_request';
}

function signature(method, key, date) {
    const request = [method, settings.BUCKET.base + key, '', 'host:' + settings.BUCKET.host,
                     'x-amz-content-sha256:' + NO_BODY, 'x-amz-date:' + date, '', SIGNED_HEADERS, NO_BODY].join('\n');
    const hash = crypto.createHash('sha256').update(request).digest('hex');
    const scope = scopeOf(date);
    // `credentials` is preloaded by nginx.conf from a file that only its owner reads
    const signingKey = scope.split('/').reduce(hmac, 'AWS4' + credentials.secret_key);
    return hmac(signingKey, ['AWS4-HMAC-SHA256', date, scope, hash].join('\n')).toString('hex');
}

// For a document, as arguments of the subrequest: nginx's variables are shared by all subrequests of a request.
function forDocument(key) {
    if (!settings.BUCKET.signed) {
        return '';
    }
    const date = now();
    return 'date=' + date + '&scope=' + scopeOf(date) + '&signature=' + signature('GET', key, date);
}

// For the blob of a request, as variables: there is one, and it is signed only when nginx's cache does not have it.
function blobDate(r) {
    r.variables.blob_signed = String(Date.now());
    return now();
}

// nginx keeps a variable as long as the request lasts, S3 takes a signature for 15 minutes.
function renew(r) {
    const v = r.variables;
    if (v.blob_signed && Date.now() - Number(v.blob_signed) > RENEW) {
        v.blob_date = blobDate(r);
        v.blob_scope = blobScope(r);
        v.blob_signature = blobSignature(r);
    }
}

function blobScope(r) {
    return scopeOf(r.variables.blob_date);
}

function blobSignature(r) {
    return signature(r.method, r.variables.blob_key, r.variables.blob_date);
}

function accessKey() {
    return credentials.access_key;
}

export default { accessKey, blobDate, blobScope, blobSignature, forDocument, renew };
