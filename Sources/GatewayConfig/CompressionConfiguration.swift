/// `compression:` where it is on: how the messages of sessions are compressed, if their clients offer it.
package struct CompressionConfiguration: Sendable, Hashable {
  /// zlib's, 1 for the fastest to 9.
  package var level = 6
  /// Messages to clients that are shorter are sent as they are.
  package var threshold = ByteCount(bytes: 256)
  /// Whether a message may refer to those before it, for which each session keeps memory.
  package var keepsContext = false
  /// How far back it may refer: to the base-2 logarithm of bytes, 9 to 15.
  package var windowBits = 15

  package init() {}
}
