import Bytes
import Crypto

/// A script that Redis runs as one command. After the first run Redis knows it by its digest.
package struct RedisScript: Sendable {
  private let text: String
  private let digest: String

  package init(_ text: String) {
    self.text = text
    digest = Insecure.SHA1.hash(data: Array(text.utf8)).hexadecimal
  }

  /// - Throws: `.refused` if the script, or Redis itself, answers with an error.
  package func run(
    keys: [String], _ arguments: [RESPArgument], on connection: RedisConnection
  ) async throws(RedisFailure) -> RESPValue {
    let tail = [RESPArgument(keys.count)] + keys.map { RESPArgument($0) } + arguments
    do {
      return try await connection.send(RESPCommand("EVALSHA", [RESPArgument(digest)] + tail))
    } catch .refused(let refusal) where refusal.code == "NOSCRIPT" {
      return try await connection.send(RESPCommand("EVAL", [RESPArgument(text)] + tail))
    }
  }
}
