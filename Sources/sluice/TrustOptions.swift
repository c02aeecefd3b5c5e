import ArgumentParser
import GatewayConfig
import Transport

/// Whose certificates a command accepts where it speaks TLS.
struct TrustOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Certificates in PEM to trust, instead of those that the system trusts.", valueName: "file"))
  var cacert: String?

  @Flag(help: "Accept any certificate.")
  var insecure = false

  func validate() throws {
    guard cacert == nil || !insecure else {
      throw ValidationError("--cacert and --insecure cannot be used together.")
    }
  }

  /// For what speaks TLS on a reactor.
  var trust: TLSContext.Trust { insecure ? .anybody : cacert.map { .file($0) } ?? .system }

  /// For the HTTP client.
  ///
  /// - Throws: what ends the command with exit code 1, if the file has no certificates.
  func clientTrust() throws -> UpstreamConfiguration.Trust {
    if let cacert {
      do throws(TLSContext.Fault) {
        _ = try TLSContext(forClientsTrusting: trust)
      } catch {
        throw CommandFailure("\(cacert): \(error)")
      }
    }
    return UpstreamConfiguration.Trust(authorities: cacert, verifiesCertificate: !insecure)
  }
}
