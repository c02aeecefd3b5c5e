import LayerTestSupport
import Testing

@testable import GatewayConfig

struct SecretHintTests {
  private func findings(secret: String, _ environment: [String: String] = [:]) -> [Finding] {
    let text = """
      installed_apps: [echo]
      auth: {site: {jwt: {secret: \(secret)}}}
      applications: {main: {websocket: [{path: ws/, consumer: echo, auth: site}]}}
      """
    return ConfigurationLoader.load(
      path: "routes.yaml", environment: environment, files: MemoryFiles(text: text)
    ).report.findings
  }

  @Test func `a secret that comes from a default is in the file, and one from its variable is not`() {
    let secret = "0123456789012345678901234567890123456789"
    let found = findings(secret: "\"${NAME:-\(secret)}\"")
    #expect(found.map(\.code) == [.plainSecret])
    #expect(found.first?.message == "\"secret\" is written into the configuration, as a default")
    #expect(findings(secret: "\"${NAME:-\(secret)}\"", ["NAME": secret]).isEmpty)
    #expect(findings(secret: "\"${NAME}\"", ["NAME": secret]).isEmpty)
    #expect(findings(secret: "\"${NAME:-}\"").map(\.code) == [.invalidKey])
  }
}
