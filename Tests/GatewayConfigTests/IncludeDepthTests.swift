import TestSupport
import Testing

@testable import GatewayConfig

/// Files that each include the next one, as far inside as YAML may be nested; the last one has a route.
private struct IncludedFiles: FileAccess {
  var count: Int

  /// Levels of `routes` in each file: a mapping and a list for each.
  private static let levels = 28

  func contents(of path: String, as use: FileUse) -> Result<[UInt8], FileFault> {
    let text: String
    if path == "routes.yaml" {
      text = """
        installed_apps: [echo]
        applications: {main: {websocket: [{path: "", include: 1.yaml}]}}
        """
    } else if let number = Int(path.prefix { $0 != "." }) {
      let inner = number < count ? "{path: b/, include: \(number + 1).yaml}" : "{path: c/, consumer: echo}"
      text =
        String(repeating: "[{path: a/, routes: ", count: Self.levels) + "[\(inner)]"
        + String(repeating: "}]", count: Self.levels) + "\n"
    } else {
      return .failure(FileFault("there is no such file"))
    }
    return .success(Array(text.utf8))
  }

  func isDirectory(_ path: String) -> Bool { false }
  func names(in directory: String) -> [String] { [] }
  func isReadableByAll(_ path: String) -> Bool { false }
  func absolute(_ path: String) -> String { "/" + path }
}

struct IncludeDepthTests {
  private static func load(_ count: Int) -> [FindingCode] {
    ConfigurationLoader.load(path: "routes.yaml", environment: [:], files: IncludedFiles(count: count))
      .report.findings.map(\.code)
  }

  @Test func `the deepest includes, each as deep as a file may be, are read on the stack of a thread`() {
    // What the system gives the thread that loads a file.
    #expect(SmallStack.run(bytes: 8 << 20) { Self.load(16) } == [])
    #expect(SmallStack.run(bytes: 8 << 20) { Self.load(17) } == [.includeCycle])
  }
}
