/// Why a message cannot be written or read.
enum CodecFault: Error, Hashable, Sendable {
  case notSerializable(String)
  case malformed(String)
  case missingType
  case undecryptable
  case tooOld
}

extension CodecFault: CustomStringConvertible {
  var description: String {
    switch self {
    case .notSerializable(let reason): "it cannot be serialized: \(reason)"
    case .malformed(let reason): reason
    case .missingType: "it has no type"
    case .undecryptable: "no key opens it"
    case .tooOld: "it is too old"
    }
  }
}
