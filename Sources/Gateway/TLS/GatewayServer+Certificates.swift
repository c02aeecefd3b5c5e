import GatewayConfig
import Logging

extension GatewayServer {
  /// Reads the files of `server.tls` again. New connections use the new certificates; existing ones continue. If there is a
  /// mistake in the files, it is logged, and nothing changes. Can be called from any thread.
  ///
  /// - Returns: whether they are others than before.
  func reloadCertificates() async -> Bool {
    guard let source, let tls = configuration.server.tls else { return false }
    let renewed: ServerTLS?
    do throws(FileThreads.Silence) {
      let (found, report) = try await FileThreads.shared.run { disk in
        ConfigurationLoader.reload(tls, environment: source.environment, files: disk)
      }
      tell(report)
      renewed = found
    } catch {
      tellNotRenewed(["error": "\(error)"])
      return false
    }
    guard let renewed else {
      tellNotRenewed()
      return false
    }
    do {
      runningParts?.tls.use(try renewed.makeContext())
      current.renew(renewed)
      tellRenewed(renewed)
      return renewed.certificates.map(\.fingerprint) != tls.certificates.map(\.fingerprint)
    } catch {
      tellNotRenewed(["error": "\(error)"])
      return false
    }
  }

  private func tellNotRenewed(_ facts: Logger.Metadata = [:]) {
    log.error("the certificates were not reloaded; the previous ones stay in use", metadata: facts)
  }

  func tellRenewed(_ certificates: ServerTLS) {
    log.notice(
      "the certificates were reloaded",
      metadata: ["names": "\(certificates.certificates.flatMap(\.names).joined(separator: ", "))"])
  }
}
