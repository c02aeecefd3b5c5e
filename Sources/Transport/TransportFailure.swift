import Glibc

/// Why a system call of the transport failed. Its description can be shown to an operator.
public enum TransportFailure: Error, Equatable {
  case addressInUse
  case addressNotAvailable
  case permissionDenied
  /// The folder of a Unix socket may not be written to.
  case closedFolder
  case cannotResolve(String)
  /// The path leads to a file that is not a socket.
  case notASocket
  /// The path of a Unix socket is empty, too long for the system, or has a zero byte.
  case unusablePath
  /// This machine has no group with this name.
  case unknownGroup(String)
  /// The process may not assign the group to the file of a Unix socket; `errno`.
  case cannotGiveSocket(group: String, Int32)
  /// Something else than a file, in words.
  case noProgram(String)
  /// A file whose mode lets nobody execute it.
  case notExecutable
  /// A file that begins with `#!`, where a program is needed.
  case isScript
  /// `errno` of a connection that could not be established.
  case cannotConnect(Int32)
  /// What was attempted, and `errno`.
  case system(String, Int32)

  init(_ attempt: String, _ code: Int32) {
    self =
      switch code {
      case EADDRINUSE: .addressInUse
      case EADDRNOTAVAIL: .addressNotAvailable
      case EACCES, EPERM: .permissionDenied
      default: .system(attempt, code)
      }
  }
}

extension TransportFailure: CustomStringConvertible {
  public var description: String {
    switch self {
    case .addressInUse: "another process listens there already"
    case .addressNotAvailable: "this machine does not have that address"
    case .permissionDenied: "permission denied (ports below 1024 need a privilege)"
    case .closedFolder: "permission denied: the user of this process may not write to the folder"
    case .cannotResolve(let why): "the host name cannot be resolved: \(why)"
    case .notASocket: "the path leads to a file that is not a socket"
    case .unusablePath: "the path of a Unix socket must have 1 to 107 bytes, none of them zero"
    case .unknownGroup(let group): "this machine has no group \"\(group)\""
    case .cannotGiveSocket(let group, let code):
      "the socket file cannot be given to the group \"\(group)\" (\(Self.text(code))): the user of this process must be a member of it, and no filter of system calls may forbid chown"
    case .noProgram(let kind): "it is \(kind), and the file of a program is needed"
    case .notExecutable: "its mode lets nobody execute it (\"chmod +x\")"
    case .isScript:
      "it is a script (it begins with \"#!\"), and a program is needed: the very file that was tried is executed, whatever has its name by then, and an interpreter could open it by its name only"
    case .cannotConnect(let code): Self.text(code)
    case .system(let attempt, let code): "could not \(attempt): \(Self.text(code))"
    }
  }

  /// The system's words for an `errno`.
  public static func text(_ code: Int32) -> String {
    unsafe strerror(code).map { unsafe String(cString: $0) } ?? "error \(code)"
  }
}
