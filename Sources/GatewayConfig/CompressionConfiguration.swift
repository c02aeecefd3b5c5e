/// `compression:` if it is on: how the messages of sessions are compressed, if their clients offer it.
package struct CompressionConfiguration: Sendable, Hashable {
  /// zlib's level, 1 (the fastest) to 9.
  package var level = 6
  /// Shorter messages are sent uncompressed.
  package var threshold = ByteCount(bytes: 256)
  /// Whether a message may refer to earlier ones. Each session keeps memory for that.
  package var keepsContext = false
  /// `client_context_takeover:`, whether a client's message may refer to earlier ones whatever `keepsContext` says. Sluice then
  /// never asks a client for `client_no_context_takeover`, which some ignore. If there is no memory for it, a session is not
  /// compressed.
  package var keepsClientContext = false
  /// How far back a message may refer: the base-2 logarithm of bytes, 9 to 15.
  package var windowBits = 15

  package init() {}
}
