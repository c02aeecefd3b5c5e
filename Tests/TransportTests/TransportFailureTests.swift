import Glibc
import Testing

@testable import Transport

struct TransportFailureTests {
  @Test(arguments: [
    (EADDRINUSE, TransportFailure.addressInUse), (EADDRNOTAVAIL, .addressNotAvailable),
    (EACCES, .permissionDenied), (EPERM, .permissionDenied), (EIO, .system("bind", EIO)),
  ])
  func `an error number becomes what it means`(code: Int32, failure: TransportFailure) {
    #expect(TransportFailure("bind", code) == failure)
  }

  @Test(arguments: [
    (TransportFailure.addressInUse, "another process listens there already"),
    (.addressNotAvailable, "this machine does not have that address"),
    (.permissionDenied, "permission denied (ports below 1024 need a privilege)"),
    (.closedFolder, "permission denied: the user of this process may not write to the folder"),
    (.cannotResolve("unknown host"), "the host name cannot be resolved: unknown host"),
    (.notASocket, "the path leads to a file that is not a socket"),
    (.unusablePath, "the path of a Unix socket must have 1 to 107 bytes, none of them zero"),
    (.system("bind", EIO), "could not bind: Input/output error"),
  ])
  func `each failure is a sentence for an operator`(failure: TransportFailure, text: String) {
    #expect(failure.description == text)
  }
}
