import Bytes
import GatewayConfig
import Glibc
import HTTPTypes
import Hummingbird
import Logging
import Sessions
import Transport
import WebSocketCore

/// Serves the files below one directory, with their types, entity tags, parts and conditions.
///
/// Nothing outside the directory is ever served: no `..`, no hidden file except below `.well-known`, and no symbolic link that
/// leads out.
struct StaticFiles: Sendable {
  /// An absolute path.
  let directory: String
  /// The file that is served in place of a missing one, for pages that route by path themselves; a path below the directory.
  var fallback: String?
  /// For parts of files that wait for their clients.
  let memory: MemoryBudget
  let log: Logger
  private let faults = SharedLogPace(most: 4)

  /// - Returns: nil if there is no such file.
  func respond(to request: Request, file: String) async throws(Refusal) -> Response? {
    guard let found = find(file) else { return nil }
    guard request.method == .get || request.method == .head else { throw Refusal.onlyRead }
    do {
      guard var response = try await answer(request, file, found) else { return nil }
      response.headers[.xContentTypeOptions] = "nosniff"
      // A changed page is seen at the next load; the ETag keeps that cheap.
      response.headers[.cacheControl] = "no-cache"
      return response
    } catch let refusal as Refusal {
      throw refusal
    } catch {
      // A task is cancelled when its client has gone, which is no fault of the file, and nobody reads the answer.
      if !(error is CancellationError), !Task.isCancelled {
        log.log(
          "a file could not be read", at: .error, paced: faults, ["file": "\(file)", "error": "\(error)"])
      }
      throw Refusal.unreadableFile
    }
  }

  /// The answer if there is no file: the fallback, if the request is for a page.
  ///
  /// A browser that opens a page accepts `text/html`. Otherwise, a path that looks like a file is missing, and a WebSocket path
  /// is answered as such.
  func fallBack(on request: Request, file: String, besideWebSocket: Bool) async throws(Refusal) -> Response? {
    let name = file.split(separator: "/", omittingEmptySubsequences: false).last ?? ""
    let isForPage = request.headers[.accept]?.lowercased().contains("text/html") == true
    guard let fallback, request.method == .get || request.method == .head,
      isForPage || !name.contains(".") && !besideWebSocket
    else { return nil }
    return try await respond(to: request, file: fallback)
  }
}

// MARK: - Answers

extension StaticFiles {
  /// - Returns: nil if the file has gone since it was found.
  private func answer(_ request: Request, _ file: String, _ found: Found) async throws -> Response? {
    let conditions = Preconditions(request.headers)
    guard case .file(let path, let version) = found else {
      guard conditions.outcome(for: nil) != .failed else { throw Refusal.otherFile }
      return Self.redirectToFolder(request.head.path ?? "/")
    }
    let name = file.isEmpty || file.hasSuffix("/") ? "index.html" : file
    switch conditions.outcome(for: version) {
    case .failed: throw Refusal.otherFile
    case .notModified: return Response(status: .notModified, headers: version.fields(ofFile: name))
    case .met: break
    }
    guard request.method == .get else {
      var fields = version.fields(ofFile: name)
      fields[.contentLength] = "\(version.size)"
      return Response(status: .ok, headers: fields)
    }
    guard let open = try await OpenFile.open(path) else { return nil }
    // Of what is open now: another file may have come in the place of the one that was found.
    let (size, fields) = (open.version.size, open.version.fields(ofFile: name))
    switch open.version.range(in: request.headers) {
    case .notUnderstood:
      return Response(status: .ok, headers: fields, body: try open.body(0..<size, countedIn: memory))
    case .part(let part):
      var response = Response(
        status: .partialContent, headers: fields, body: try open.body(Range(part), countedIn: memory))
      response.headers[.contentRange] = "bytes \(part.lowerBound)-\(part.upperBound)/\(size)"
      return response
    case .unsatisfiable:
      var refusal = Refusal.noSuchRange
      refusal.fields.append(HeaderField(name: "Content-Range", value: "bytes */\(size)"))
      throw refusal
    }
  }

  private static func redirectToFolder(_ target: String) -> Response {
    let path = target.prefix { $0 != "?" }
    let location = (path + "/").withOneLeadingSlash + target[path.endIndex...]
    return Response(status: .movedPermanently, headers: [.location: location])
  }
}

extension FileVersion {
  fileprivate func fields(ofFile name: String) -> HTTPFields {
    var fields: HTTPFields = [
      .lastModified: HTTPDate.text(of: modified), .eTag: eTag, .acceptRanges: "bytes",
    ]
    fields[.contentType] = MediaTypes.type(of: name)
    return fields
  }

  /// The range of a GET, under its condition. A range is not defined for other methods (RFC 9110 section 14.2).
  fileprivate func range(in fields: HTTPFields) -> ByteRange {
    guard let field = fields[.range], fields[.ifRange].map({ isNamed(by: $0) }) ?? true else {
      return .notUnderstood
    }
    return ByteRange(field, size: size)
  }
}

// MARK: - What is served

extension StaticFiles {
  private enum Found {
    /// A folder with an index page, which is asked for without the slash behind its name.
    case folder
    case file(path: String, FileVersion)
  }

  /// Follows all links.
  ///
  /// - Returns: nil for what is outside of the directory, or does not exist.
  private func find(_ file: String) -> Found? {
    // The system has no longer paths, and splitting one would take long.
    guard file.utf8.count < PATH_MAX else { return nil }
    let components = file.split(separator: "/")
    for component in components where component.hasPrefix(".") && component != ".well-known" {
      return nil
    }
    guard !file.utf8.contains(0), !file.contains("\\") else { return nil }
    let found = locate(file)
    guard case .folder? = found else { return found }
    guard let index = locate(file + "/index.html"), case .file = index else { return nil }
    return file.isEmpty || file.hasSuffix("/") ? index : .folder
  }

  private func locate(_ file: String) -> Found? {
    guard let root = Disk().resolved(directory), let target = Disk().resolved(directory + "/" + file),
      target == root || target.hasPrefix(root == "/" ? root : root + "/")
    else { return nil }
    guard let status = FileStatus(of: target) else { return nil }
    switch status.kind {
    case .folder: return .folder
    case .regular: return .file(path: target, FileVersion(status))
    // A pipe, for instance, could block its reader forever.
    case .other: return nil
    }
  }
}
