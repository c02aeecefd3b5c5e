import Bytes
import Crypto
import Glibc
import Sessions
import Transport

/// One version of a served file, and the validators that name it (RFC 9110 section 8.8).
struct FileVersion {
  /// Bytes.
  let size: Int
  /// A strong entity tag: a digest of the inode, the size, and the times of the last changes to the content and to the inode in
  /// nanoseconds. A file that is written anew within a second, or gets its old time of modification back, has another tag.
  let eTag: String
  /// The second of the last modification, since 1970.
  let modified: Int

  init(_ status: FileStatus) {
    size = status.size
    modified = status.modified.seconds
    let facts: [Int] = [
      status.modified.seconds, status.modified.nanoseconds, status.changed.seconds,
      status.changed.nanoseconds, size,
    ]
    // The digest says nothing of the inode's number, which is nobody's matter.
    let text = "\(status.device) \(status.inode) \(facts)"
    eTag = "\"" + SHA256.hash(data: Array(text.utf8)).prefix(12).hexadecimal + "\""
  }

  /// Whether an `If-Range` field names this version, and no other one (RFC 9110 section 13.1.5): by a strong tag, which a weak one
  /// never equals, or by the date of a second that is over, so that the file cannot change again within it.
  ///
  /// - Parameter now: seconds since 1970.
  func isNamed(by condition: String, at now: Int = time(nil)) -> Bool {
    condition == eTag || condition == HTTPDate.text(of: modified) && modified < now
  }
}
