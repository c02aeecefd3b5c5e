#define _GNU_SOURCE
#include "sluice_tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

// A record's plaintext (RFC 8446 section 5.1), and what is around it at most (TLS 1.2 with a CBC suite, which is not offered).
enum { RECORD = 16 * 1024, AROUND = 256 };
// Records, or pieces of the handshake, of one read. A record of one byte takes about a microsecond.
enum { RECORDS_PER_READ = 64 };
// KeyUpdates of one read, and without data between them. One takes some 17 microseconds.
enum { UPDATES_PER_READ = 4, MOST_UPDATES = 32 };
// What the library itself sends while it reads is short: a handshake's flight with its certificates, answers to KeyUpdates.
enum { MOST_OUT = 128 * 1024 };
// How long a key for tickets is used, and how long its tickets are good. Seconds.
enum { TICKET_KEY_TIME = 6 * 3600, TICKET_TIME = 6 * 3600 };

// MARK: - What the sessions of a thread share

// Encrypted bytes that a read took from the socket, and those that wait to be sent: used within one call only.
static _Thread_local struct {
    unsigned char *in;
    unsigned char *out;
    size_t out_count;
    // The session whose unsent bytes `out` has.
    const tls_session *sender;
} shared;

static bool prepare_thread(void) {
    if (!shared.in) shared.in = malloc(TLS_MOST_HELD);
    if (!shared.out) shared.out = malloc(MOST_OUT);
    return shared.in && shared.out;
}

// MARK: - Tickets

struct ticket_key {
    unsigned char name[16];
    unsigned char cipher[32];
    unsigned char digest[32];
    time_t made;
};

// The current key and the one before it, of all contexts, so that new certificates do not cost all clients a full handshake.
static struct ticket_key ticket_keys[2];
static pthread_mutex_t ticket_lock = PTHREAD_MUTEX_INITIALIZER;

static time_t seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec + 1;
}

// The key to make tickets with.
static bool current_key(struct ticket_key *key) {
    pthread_mutex_lock(&ticket_lock);
    time_t now = seconds();
    bool is_good = ticket_keys[0].made && now - ticket_keys[0].made < TICKET_KEY_TIME;
    if (!is_good) {
        struct ticket_key made = {.made = now};
        is_good = RAND_bytes(made.name, sizeof made.name) == 1 && RAND_priv_bytes(made.cipher, sizeof made.cipher) == 1
            && RAND_priv_bytes(made.digest, sizeof made.digest) == 1;
        if (is_good) {
            ticket_keys[1] = ticket_keys[0];
            ticket_keys[0] = made;
        }
    }
    *key = ticket_keys[0];
    pthread_mutex_unlock(&ticket_lock);
    return is_good;
}

// 1 if a ticket's key is the current one, 2 if it is the one before, 0 if it is neither.
static int key_named(const unsigned char name[16], struct ticket_key *key) {
    int found = 0;
    pthread_mutex_lock(&ticket_lock);
    for (int i = 0; i < 2 && !found; i++) {
        if (!ticket_keys[i].made || memcmp(ticket_keys[i].name, name, 16) != 0) continue;
        if (seconds() - ticket_keys[i].made >= TICKET_KEY_TIME + TICKET_TIME) continue;
        *key = ticket_keys[i];
        found = i + 1;
    }
    pthread_mutex_unlock(&ticket_lock);
    return found;
}

static int use_ticket_key(
    SSL *ssl, unsigned char *name, unsigned char *vector, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *digest, int encrypts) {
    (void)ssl;
    struct ticket_key key;
    int found = 1;
    if (encrypts) {
        if (!current_key(&key)) return -1;
        memcpy(name, key.name, sizeof key.name);
        if (RAND_bytes(vector, 16) != 1) return -1;
    } else {
        found = key_named(name, &key);
        if (!found) return 0;
    }
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key.digest, sizeof key.digest),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, "sha256", 0), OSSL_PARAM_construct_end()};
    bool is_set = EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, key.cipher, vector, encrypts) == 1
        && EVP_MAC_CTX_set_params(digest, parameters) == 1;
    OPENSSL_cleanse(&key, sizeof key);
    return is_set ? found : -1;
}

// MARK: - The socket, as OpenSSL sees it

struct tls_session {
    SSL *ssl;
    int descriptor;
    // The peer has sent a byte.
    bool is_heard;
    // Nothing more comes, and whether a read has said so.
    bool is_ended;
    bool is_end_told;
    // The handshake is over.
    bool is_established;
    // The peer's hello was answered for good.
    bool has_answered;
    // close_notify was sent.
    bool is_finished;
    // KeyUpdates since the last data, and of this read.
    unsigned char updates;
    unsigned char updates_now;
    // Encrypted bytes that are not decrypted yet: in `held` where that exists, otherwise in the thread's buffer.
    const unsigned char *next;
    size_t left;
    unsigned char *held;
    // What the last read took from the socket.
    size_t taken;
    // Words of the library's tables, or of this file.
    const char *fault;
    // The fault is in the server's certificate.
    bool is_distrusted;
    // The fault is the text of one of the library's reasons.
    bool is_reason;
};

static int bio_read(BIO *bio, char *buffer, int size) {
    tls_session *session = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (size <= 0) return 0;
    if (!session->left) {
        if (session->is_ended) return 0;
        BIO_set_retry_read(bio);
        return -1;
    }
    size_t count = session->left < (size_t)size ? session->left : (size_t)size;
    memcpy(buffer, session->next, count);
    session->next += count;
    session->left -= count;
    return (int)count;
}

static int bio_write(BIO *bio, const char *bytes, int count) {
    BIO_clear_retry_flags(bio);
    if (count <= 0 || (size_t)count > MOST_OUT - shared.out_count) return -1;
    memcpy(shared.out + shared.out_count, bytes, (size_t)count);
    shared.out_count += (size_t)count;
    return count;
}

static long bio_control(BIO *bio, int command, long number, void *pointer) {
    (void)number;
    (void)pointer;
    switch (command) {
    case BIO_CTRL_FLUSH: return 1;
    case BIO_CTRL_EOF: return ((tls_session *)BIO_get_data(bio))->is_ended;
    default: return 0;
    }
}

static BIO_METHOD *bio_method;
static pthread_once_t begun = PTHREAD_ONCE_INIT;

static void begin(void) {
    // The machine's openssl.cnf is for its users' programs: what this one offers depends on its own file only.
    OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ATEXIT, NULL);
    bio_method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket");
    if (!bio_method) return;
    BIO_meth_set_read(bio_method, bio_read);
    BIO_meth_set_write(bio_method, bio_write);
    BIO_meth_set_ctrl(bio_method, bio_control);
}

// MARK: - Contexts

struct tls_context {
    // The first is that of new sessions; the others are used for their certificates.
    SSL_CTX **contexts;
    size_t count;
    int minimum;
    tls_choose choose;
    const void *owner;
};

tls_context *tls_context_make(int minimum) {
    pthread_once(&begun, begin);
    if (!bio_method) return NULL;
    tls_context *context = calloc(1, sizeof *context);
    if (context) context->minimum = minimum;
    return context;
}

// The names of the application's protocols, each behind its length (RFC 7301 section 3.1).
static const unsigned char protocols[] = "\x08http/1.1";

static int choose_protocol(
    SSL *ssl, const unsigned char **chosen, unsigned char *length, const unsigned char *offered, unsigned offered_length,
    void *unused) {
    (void)ssl;
    (void)unused;
    unsigned char *found;
    int result = SSL_select_next_proto(&found, length, protocols, sizeof protocols - 1, offered, offered_length);
    *chosen = found;
    // A client that offers only others is served all the same, as it names none (RFC 7301 section 3.2 permits to ignore it).
    return result == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

static int choose_certificate(SSL *ssl, int *alert, void *pointer) {
    (void)alert;
    const tls_context *context = pointer;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    if (!name || !context->choose) return SSL_TLSEXT_ERR_OK;
    size_t index = context->choose(context->owner, name);
    if (index > 0 && index < context->count && !SSL_set_SSL_CTX(ssl, context->contexts[index]))
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    return SSL_TLSEXT_ERR_OK;
}

static const char *last_error(void) {
    unsigned long code = ERR_peek_error();
    const char *reason = ERR_reason_error_string(code);
    if (!reason && ERR_SYSTEM_ERROR(code)) reason = strerror(ERR_GET_REASON(code));
    return reason ? reason : "unknown error";
}

static bool add_chain(SSL_CTX *context, const unsigned char *chain, const size_t *lengths, size_t count) {
    for (size_t i = 0; i < count; i++) {
        X509 *certificate = d2i_X509(NULL, &chain, (long)lengths[i]);
        if (!certificate) return false;
        int added = i == 0 ? SSL_CTX_use_certificate(context, certificate) : SSL_CTX_add1_chain_cert(context, certificate);
        X509_free(certificate);
        if (added != 1) return false;
    }
    return true;
}

static bool add_key(SSL_CTX *context, const unsigned char *key, size_t length) {
    EVP_PKEY *parsed = d2i_AutoPrivateKey(NULL, &key, (long)length);
    if (!parsed) return false;
    int added = SSL_CTX_use_PrivateKey(context, parsed);
    EVP_PKEY_free(parsed);
    return added == 1 && SSL_CTX_check_private_key(context) == 1;
}

struct passphrase {
    const unsigned char *bytes;
    size_t count;
};

static int give_passphrase(char *buffer, int size, int is_writing, void *pointer) {
    (void)is_writing;
    const struct passphrase *phrase = pointer;
    if (size < 0 || phrase->count > (size_t)size) return -1;
    memcpy(buffer, phrase->bytes, phrase->count);
    return (int)phrase->count;
}

size_t tls_key_decode(
    const unsigned char *pem, size_t count, const unsigned char *phrase, size_t phrase_count, unsigned char *der, size_t size) {
    ERR_clear_error();
    BIO *bio = count > INT_MAX ? NULL : BIO_new_mem_buf(pem, (int)count);
    if (!bio) return 0;
    struct passphrase given = {phrase, phrase_count};
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, give_passphrase, &given);
    BIO_free(bio);
    if (!key) return 0;
    int length = i2d_PrivateKey(key, NULL);
    if (length <= 0 || (size_t)length > size) length = 0;
    if (length > 0) length = i2d_PrivateKey(key, &der);
    EVP_PKEY_free(key);
    return length > 0 ? (size_t)length : 0;
}

// What the contexts of servers and of clients have in common.
static SSL_CTX *make_plain_context(const SSL_METHOD *method, int minimum) {
    SSL_CTX *context = SSL_CTX_new(method);
    if (!context) return NULL;
    SSL_CTX_set_options(
        context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_NO_QUERY_MTU);
    SSL_CTX_clear_mode(context, SSL_MODE_AUTO_RETRY);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    if (SSL_CTX_set_min_proto_version(context, minimum == 3 ? TLS1_3_VERSION : TLS1_2_VERSION) == 1
        && SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20") == 1
        // Without the groups of finite fields: ffdhe8192 takes a hundred times as long, and the client need not compute anything.
        && SSL_CTX_set1_groups_list(context, "X25519:P-256:P-384") == 1)
        return context;
    SSL_CTX_free(context);
    return NULL;
}

static SSL_CTX *make_context(tls_context *owner) {
    SSL_CTX *context = make_plain_context(TLS_server_method(), owner->minimum);
    if (!context) return NULL;
    SSL_CTX_set_options(context, SSL_OP_PRIORITIZE_CHACHA | SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_num_tickets(context, 1);
    SSL_CTX_set_timeout(context, TICKET_TIME);
    SSL_CTX_set_tlsext_ticket_key_evp_cb(context, use_ticket_key);
    SSL_CTX_set_max_early_data(context, 0);
    SSL_CTX_set_alpn_select_cb(context, choose_protocol, NULL);
    SSL_CTX_set_tlsext_servername_callback(context, choose_certificate);
    SSL_CTX_set_tlsext_servername_arg(context, owner);
    return context;
}

static bool trust(SSL_CTX *context, bool verifies, const char *file) {
    if (!verifies) return true;
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    return (file ? SSL_CTX_load_verify_file(context, file) : SSL_CTX_set_default_verify_paths(context)) == 1;
}

const char *tls_context_connect(tls_context *context, bool verifies, const char *file) {
    ERR_clear_error();
    context->contexts = calloc(1, sizeof *context->contexts);
    SSL_CTX *made = context->contexts ? make_plain_context(TLS_client_method(), context->minimum) : NULL;
    // 0 is success here (SSL_CTX_set_alpn_protos(3)).
    if (!made || SSL_CTX_set_alpn_protos(made, protocols, sizeof protocols - 1) != 0 || !trust(made, verifies, file)) {
        SSL_CTX_free(made);
        return last_error();
    }
    context->contexts[context->count++] = made;
    return NULL;
}

const char *tls_context_add(
    tls_context *context, const unsigned char *chain, const size_t *lengths, size_t count, const unsigned char *key,
    size_t key_length) {
    ERR_clear_error();
    SSL_CTX **grown = realloc(context->contexts, (context->count + 1) * sizeof *grown);
    if (!grown) return "no memory";
    context->contexts = grown;
    SSL_CTX *made = make_context(context);
    if (!made || !add_chain(made, chain, lengths, count) || !add_key(made, key, key_length)) {
        SSL_CTX_free(made);
        return last_error();
    }
    context->contexts[context->count++] = made;
    return NULL;
}

void tls_context_choose(tls_context *context, tls_choose choose, const void *owner) {
    context->choose = choose;
    context->owner = owner;
}

void tls_context_free(tls_context *context) {
    if (!context) return;
    for (size_t i = 0; i < context->count; i++) SSL_CTX_free(context->contexts[i]);
    free(context->contexts);
    free(context);
}

// MARK: - Sessions

// A KeyUpdate is a message of type 24 in a record of handshake messages (RFC 8446 section 4).
static void note_message(
    int is_sent, int version, int type, const void *bytes, size_t count, SSL *ssl, void *pointer) {
    (void)version;
    (void)ssl;
    tls_session *session = pointer;
    // A resumed session has no certificate; a hello that has to come again is answered with neither.
    if (is_sent && type == SSL3_RT_HANDSHAKE && count > 0) {
        unsigned char message = *(const unsigned char *)bytes;
        if (message == SSL3_MT_CERTIFICATE || message == SSL3_MT_FINISHED) session->has_answered = true;
    }
    if (is_sent || type != SSL3_RT_HANDSHAKE || count == 0 || *(const unsigned char *)bytes != SSL3_MT_KEY_UPDATE) return;
    session->updates++;
    session->updates_now++;
}

static tls_session *make_session(tls_context *context, int descriptor) {
    if (!prepare_thread() || context->count == 0) return NULL;
    tls_session *session = calloc(1, sizeof *session);
    if (!session) return NULL;
    session->descriptor = descriptor;
    session->ssl = SSL_new(context->contexts[0]);
    BIO *bio = session->ssl ? BIO_new(bio_method) : NULL;
    if (!bio) {
        tls_session_free(session);
        return NULL;
    }
    BIO_set_data(bio, session);
    BIO_set_init(bio, 1);
    SSL_set_bio(session->ssl, bio, bio);
    SSL_set_msg_callback(session->ssl, note_message);
    SSL_set_msg_callback_arg(session->ssl, session);
    return session;
}

tls_session *tls_session_make(tls_context *context, int descriptor, const void *first, size_t count) {
    tls_session *session = count <= TLS_MOST_HELD ? make_session(context, descriptor) : NULL;
    if (!session) return NULL;
    SSL_set_accept_state(session->ssl);
    if (count > 0) {
        session->held = malloc(count);
        if (!session->held) {
            tls_session_free(session);
            return NULL;
        }
        memcpy(session->held, first, count);
        session->next = session->held;
        session->left = count;
        session->is_heard = true;
    }
    return session;
}

// An address is never sent to the server (RFC 6066 section 3), but the certificate has to be for it.
static bool name_server(SSL *ssl, const char *name) {
    unsigned char address[sizeof(struct in6_addr)];
    if (inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1)
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1;
    return SSL_set_tlsext_host_name(ssl, name) == 1 && SSL_set1_host(ssl, name) == 1;
}

tls_session *tls_session_connect(tls_context *context, int descriptor, const char *name) {
    tls_session *session = make_session(context, descriptor);
    if (!session) return NULL;
    SSL_set_connect_state(session->ssl);
    if (name_server(session->ssl, name)) return session;
    tls_session_free(session);
    return NULL;
}

void tls_session_free(tls_session *session) {
    if (!session) return;
    SSL_free(session->ssl);
    free(session->held);
    free(session);
}

// Begins a call: what another one left unsent was taken over by then.
static void begin_call(tls_session *session) {
    // What is left of another connection's failure would be taken for one of this. To clear an empty list costs more than to look.
    if (ERR_peek_error() != 0) ERR_clear_error();
    shared.out_count = 0;
    shared.sender = session;
}

// Sends what the library wrote. What the socket does not take is left in the thread's buffer.
static bool send_out(tls_session *session) {
    size_t sent = 0;
    while (sent < shared.out_count) {
        ssize_t result = send(session->descriptor, shared.out + sent, shared.out_count - sent, MSG_NOSIGNAL);
        if (result < 0 && errno == EINTR) continue;
        if (result < 0 && errno != EAGAIN) return false;
        if (result < 0) break;
        bool is_full = (size_t)result < shared.out_count - sent;
        sent += (size_t)result;
        if (is_full) break;
    }
    shared.out_count -= sent;
    if (shared.out_count > 0) memmove(shared.out, shared.out + sent, shared.out_count);
    return true;
}

// Fills the input from the socket. -1 with `errno` if there is none.
static int fill(tls_session *session, size_t most) {
    if (session->left > 0 || session->is_ended) return 0;
    if (most > TLS_MOST_HELD) most = TLS_MOST_HELD;
    ssize_t count;
    do count = recv(session->descriptor, shared.in, most, 0);
    while (count < 0 && errno == EINTR);
    if (count < 0) return -1;
    if (count == 0) {
        session->is_ended = true;
        return 0;
    }
    session->is_heard = true;
    session->taken = (size_t)count;
    session->next = shared.in;
    session->left = (size_t)count;
    return 0;
}

// Keeps the input that is left beyond this call.
static bool keep(tls_session *session) {
    if (session->left == 0) {
        free(session->held);
        session->held = NULL;
    } else if (!session->held) {
        session->held = malloc(session->left);
        if (!session->held) {
            // The bytes are in the thread's buffer, which the next session uses.
            session->left = 0;
            session->fault = "no memory";
            return false;
        }
        memcpy(session->held, session->next, session->left);
        session->next = session->held;
    }
    return true;
}

// The input is over.
static void end(tls_session *session) {
    session->is_ended = true;
    session->left = 0;
}

bool tls_session_begin(tls_session *session) {
    begin_call(session);
    int result = SSL_do_handshake(session->ssl);
    if (result != 1 && SSL_get_error(session->ssl, result) != SSL_ERROR_WANT_READ) {
        session->fault = last_error();
        errno = EPROTO;
        return false;
    }
    return send_out(session);
}

// What was wrong with the server's certificate says more than that something was.
static const char *words_for_fault(tls_session *session) {
    // Errors of lower parts come before it, such as one about a signature.
    if (ERR_GET_REASON(ERR_peek_last_error()) != SSL_R_CERTIFICATE_VERIFY_FAILED) {
        session->is_reason = ERR_reason_error_string(ERR_peek_error()) != NULL;
        return last_error();
    }
    session->is_distrusted = true;
    return X509_verify_cert_error_string(SSL_get_verify_result(session->ssl));
}

static long fail(tls_session *session, const char *fault) {
    session->fault = fault;
    errno = EPROTO;
    return -1;
}

long tls_session_read(tls_session *session, void *buffer, size_t size, size_t most, bool is_waiting) {
    if (!prepare_thread()) {
        errno = ENOMEM;
        return -1;
    }
    begin_call(session);
    session->taken = 0;
    if (session->fault) return fail(session, session->fault);
    if (fill(session, most) < 0) return -1;
    session->updates_now = 0;
    size_t got = 0;
    for (int records = 0; records < RECORDS_PER_READ; records++) {
        if (size - got < RECORD && SSL_is_init_finished(session->ssl)) break;
        size_t before = session->left;
        size_t count = 0;
        int result = SSL_is_init_finished(session->ssl)
            ? SSL_read_ex(session->ssl, (char *)buffer + got, size - got, &count)
            : SSL_do_handshake(session->ssl);
        if (count > 0) session->updates = 0;
        got += count;
        int error = result == 1 ? SSL_ERROR_NONE : SSL_get_error(session->ssl, result);
        if (error == SSL_ERROR_ZERO_RETURN || (error != SSL_ERROR_NONE && session->is_ended && session->left == 0)) {
            end(session);
            break;
        }
        if (error != SSL_ERROR_NONE && error != SSL_ERROR_WANT_READ) session->fault = words_for_fault(session);
        if (session->updates > MOST_UPDATES) session->fault = "too many key updates";
        if (session->fault || session->updates_now >= UPDATES_PER_READ) break;
        // All of the input was whole records, so the library has nothing more: it takes no bytes ahead.
        if (error == SSL_ERROR_NONE && session->left == 0 && !session->is_ended) break;
        // After a message without data the library returns although there is more.
        if (error == SSL_ERROR_WANT_READ && (session->left == 0 || session->left == before)) break;
    }
    bool is_between = SSL_is_init_finished(session->ssl);
    // Nothing can be sent in the middle of a later message, which nobody has a reason to send in pieces.
    if (session->is_established && !is_between && session->left == 0 && !session->fault)
        session->fault = "a message after the handshake is incomplete";
    if (is_between) session->is_established = true;
    if (session->is_ended && !session->is_established && !session->fault)
        session->fault = "the connection was closed during the handshake";
    int code = is_waiting || send_out(session) ? 0 : errno;
    // A client can send its first request right behind its handshake, and go: what it said is read although nothing can be sent. The
    // next read or write finds out.
    if (is_between) code = 0;
    if (!keep(session)) code = ENOMEM;
    if (got > 0) return (long)got;
    if (session->fault) return fail(session, session->fault);
    if (session->is_ended) {
        session->is_end_told = true;
        return 0;
    }
    errno = code ? code : EAGAIN;
    return -1;
}

size_t tls_session_held(const tls_session *session) { return session->left; }

size_t tls_session_taken(const tls_session *session) { return session->taken; }

bool tls_session_holds(const tls_session *session) {
    return session->left > 0 || session->fault || (session->is_ended && !session->is_end_told);
}

long tls_session_write(tls_session *session, const void *bytes, size_t count) {
    begin_call(session);
    size_t taken = 0;
    if (count > TLS_MOST_WRITE) count = TLS_MOST_WRITE;
    while (taken < count) {
        size_t piece = count - taken < RECORD ? count - taken : RECORD;
        size_t written = 0;
        if (SSL_write_ex(session->ssl, (const char *)bytes + taken, piece, &written) != 1) {
            session->fault = last_error();
            return fail(session, session->fault);
        }
        taken += written;
    }
    return send_out(session) ? (long)taken : -1;
}

void tls_session_finish(tls_session *session) {
    begin_call(session);
    if (session->is_finished || session->fault || !SSL_is_init_finished(session->ssl)) return;
    session->is_finished = true;
    SSL_shutdown(session->ssl);
    ERR_clear_error();
    send_out(session);
}

size_t tls_session_unsent(const tls_session *session, const void **bytes) {
    *bytes = shared.out;
    return shared.sender == session ? shared.out_count : 0;
}

bool tls_session_is_established(const tls_session *session) { return session->is_established; }

bool tls_session_has_answered(const tls_session *session) { return session->has_answered; }

bool tls_session_is_heard(const tls_session *session) { return session->is_heard; }

const char *tls_session_fault(const tls_session *session) { return session->fault; }

bool tls_session_is_distrusted(const tls_session *session) { return session->is_distrusted; }

bool tls_session_is_cut_off(const tls_session *session) {
    return session->fault && session->is_ended && !SSL_is_init_finished(session->ssl);
}

bool tls_session_is_reason(const tls_session *session) { return session->is_reason; }
