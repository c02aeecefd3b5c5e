/// Why a message cannot be written or read.
enum CodecFault: Error, Hashable, CustomStringConvertible {
  case notSerializable(String)
  case malformed(String)
  case missingType
  case undecryptable
  case tooOld

  var description: String {
    switch self {
    case .notSerializable(let reason): "it cannot be serialized: \(reason)"
    case .malformed(let reason): reason
    case .missingType: "it has no type"
    case .undecryptable: "it cannot be decrypted with any of the keys"
    case .tooOld: "it is older than the expiry of the layer"
    }
  }
}
