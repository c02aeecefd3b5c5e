// TLS on a connected non-blocking socket, for servers and for clients: OpenSSL behind a few functions that show none of its types.
//
// A context may be used by many threads at once; a session by one thread at a time.
#pragma once

#include <stdbool.h>
#include <stddef.h>

typedef struct tls_context tls_context;
typedef struct tls_session tls_session;

/// Chooses the certificate for the name in a client's hello (RFC 6066 section 3): its index.
typedef size_t (*tls_choose)(const void *_Nonnull owner, const char *_Nonnull name);

/// Makes a context without a certificate. `minimum` is the lowest version of TLS: 2 or 3, for 1.2 and 1.3.
///
/// Returns NULL where there is no memory.
tls_context *_Nullable tls_context_make(int minimum);

/// Adds a certificate and its key, each in DER. The first one is for clients that name no server, or an unknown one.
///
/// `chain` are the certificates one behind the other, the server's own first, with `lengths` of `count` of them.
/// Returns NULL, or what is wrong, in words of OpenSSL; valid until the thread's next call.
const char *_Nullable tls_context_add(
    tls_context *_Nonnull context, const unsigned char *_Nonnull chain, const size_t *_Nonnull lengths,
    size_t count, const unsigned char *_Nonnull key, size_t key_length);

/// Reads the first private key of a PEM text, which may be encrypted with the `phrase`, and writes it to `der`, which has `size` bytes.
///
/// Returns its length; 0 where there is none, or it does not fit. The terminal is never asked.
size_t tls_key_decode(
    const unsigned char *_Nonnull pem, size_t count, const unsigned char *_Nonnull phrase, size_t phrase_count,
    unsigned char *_Nonnull der, size_t size);

/// Has `choose` called with `owner` for each hello with a server name. Without it, the first certificate is used.
void tls_context_choose(tls_context *_Nonnull context, tls_choose _Nonnull choose, const void *_Nonnull owner);

/// Makes a new context one for clients. With `verifies` a server has to show a certificate for its name that leads to one in the
/// PEM `file`, or to one that the system trusts where that is NULL. No session is resumed.
///
/// Returns NULL, or what is wrong, as `tls_context_add`.
const char *_Nullable tls_context_connect(tls_context *_Nonnull context, bool verifies, const char *_Nullable file);

/// Sessions that use the context keep it alive.
void tls_context_free(tls_context *_Nullable context);

/// Makes a session on a socket, which stays the caller's. `first` are bytes that were read from the socket already, at most
/// `TLS_MOST_HELD`. Returns NULL where there is no memory.
tls_session *_Nullable tls_session_make(
    tls_context *_Nonnull context, int descriptor, const void *_Nullable first, size_t count);

/// Makes a session of a client on a socket that connects to a server. `name` is the server's, or its address.
///
/// Returns NULL where there is no memory.
tls_session *_Nullable tls_session_connect(tls_context *_Nonnull context, int descriptor, const char *_Nonnull name);

/// Sends a client's first flight, as `tls_session_write`; the handshake goes on with the reads. False with `errno` where sending
/// failed.
bool tls_session_begin(tls_session *_Nonnull session);

void tls_session_free(tls_session *_Nullable session);

/// What the socket gave is kept where a read ends before it is used up, at most so many bytes.
enum { TLS_MOST_HELD = 32 * 1024 };
/// The most plaintext of one read, if its buffer has room for that.
enum { TLS_MOST_READ = TLS_MOST_HELD + 32 * 1024 };

/// Reads at most `most` bytes from the socket, and decrypts what is complete. Goes on with the handshake before.
///
/// With a `size` of 0 only the handshake goes on, and what comes behind it is kept for the next read.
///
/// One call ends after a bounded number of records: then `tls_session_holds`. What the library itself has to say is sent, unless
/// `is_waiting`: then encrypted bytes of before wait for the socket, and all of it is unsent.
/// Returns the number of bytes in `buffer`, of 0 or at least `TLS_MOST_READ`; 0 at the end, with or without close_notify; -1 with
/// `errno`: EAGAIN if nothing can be read now, EPROTO for a violation of the protocol (see `tls_session_fault`).
long tls_session_read(tls_session *_Nonnull session, void *_Nullable buffer, size_t size, size_t most, bool is_waiting);

/// How many bytes from the socket are kept for the next read.
size_t tls_session_held(const tls_session *_Nonnull session);

/// How many bytes the last read took from the socket.
size_t tls_session_taken(const tls_session *_Nonnull session);

/// Whether a read would have work to do although the socket may have nothing to read.
bool tls_session_holds(const tls_session *_Nonnull session);

/// Encrypts at most `TLS_MOST_WRITE` bytes, and sends them with what is unsent.
///
/// Must not be called while something is unsent, or before the handshake is over.
/// Returns how many bytes were encrypted; what the socket did not take of them is unsent. -1 with `errno` where sending failed.
long tls_session_write(tls_session *_Nonnull session, const void *_Nonnull bytes, size_t count);

// What a slow reader has to be sent in any case, because it is encrypted, is not longer.
enum { TLS_MOST_WRITE = 32 * 1024 };

/// Says that nothing more will be sent (close_notify); as `tls_session_write`.
void tls_session_finish(tls_session *_Nonnull session);

/// Encrypted bytes that the socket did not take in the last call for this session. The caller takes them over: they are valid
/// until the next call for any session of this thread, and forgotten then.
size_t tls_session_unsent(const tls_session *_Nonnull session, const void *_Nullable *_Nonnull bytes);

bool tls_session_is_established(const tls_session *_Nonnull session);

/// Whether a read has answered the peer's hello: what a server still has to compute for the handshake is little.
bool tls_session_has_answered(const tls_session *_Nonnull session);

/// Whether the peer has sent a byte.
bool tls_session_is_heard(const tls_session *_Nonnull session);

/// Why a read failed with EPROTO; NULL if it did not.
const char *_Nullable tls_session_fault(const tls_session *_Nonnull session);

/// Whether that is about the certificate of a server.
bool tls_session_is_distrusted(const tls_session *_Nonnull session);

/// Whether the fault is that the peer ended the connection before the handshake was over.
bool tls_session_is_cut_off(const tls_session *_Nonnull session);

/// Whether the fault is the text of one of the library's reasons.
bool tls_session_is_reason(const tls_session *_Nonnull session);
