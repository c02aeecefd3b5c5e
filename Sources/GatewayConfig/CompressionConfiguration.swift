/// `compression:` where it is on: how the messages of sessions are compressed, if their clients offer it.
package struct CompressionConfiguration: Sendable, Hashable {
  /// zlib's, 1 for the fastest to 9.
  package var level = 6
  /// Messages to clients that are shorter are sent as they are.
  package var threshold = ByteCount(bytes: 256)
  /// Whether a message may refer to those before it, for which each session keeps memory.
  package var keepsContext = false
  /// `client_context_takeover:`, whether a client's message may refer to those before it whatever `keepsContext` says. Then no client is
  /// ever asked for `client_no_context_takeover`, which some ignore; where there is no memory for it, a session is not compressed.
  package var keepsClientContext = false
  /// How far back it may refer: to the base-2 logarithm of bytes, 9 to 15.
  package var windowBits = 15

  package init() {}
}
