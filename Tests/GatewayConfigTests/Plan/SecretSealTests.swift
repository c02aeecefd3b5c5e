import LayerTestSupport
import Testing

@testable import GatewayConfig

struct SecretSealTests {
  private func configuration(_ secret: String, at path: String = "key") throws -> Configuration {
    let text = """
      installed_apps: [echo]
      auth: {users: {jwt: {secret: {file: \(path)}}}}
      applications: {main: {websocket: [{path: a/, consumer: echo, auth: users}]}}
      """
    let files = MemoryFiles(["routes.yaml": text, path: secret])
    return try #require(
      ConfigurationLoader.load(path: "routes.yaml", environment: [:], files: files).configuration)
  }

  private let one = String(repeating: "s", count: 40)
  private let other = String(repeating: "t", count: 40)

  @Test func `files are told from others also where only a secret has other contents`() throws {
    let (known, renewed) = (try configuration(one), try configuration(other))
    #expect(known.digest == renewed.digest)
    let seal = SecretSeal()
    #expect(seal.digest(of: known) != seal.digest(of: renewed))
    #expect(seal.digest(of: known) == seal.digest(of: try configuration(one)))
  }

  @Test func `another process cannot tell anything from it`() throws {
    let known = try configuration(one)
    #expect(SecretSeal().digest(of: known) != SecretSeal().digest(of: known))
  }

  @Test func `without secrets it is the same in every process`() throws {
    let plain = try ConfigurationLoader.configuration(
      of: "installed_apps: [echo]\napplications: {main: {websocket: [{path: a/, consumer: echo}]}}")
    #expect(SecretSeal().digest(of: plain) == plain.digest)
  }
}
