import Hummingbird

/// The media types of files, by the extension of their names.
enum MediaTypes {
  /// - Parameter file: the name, with or without the path.
  /// - Returns: the type; for text with its charset, UTF-8. Nil if neither this table nor Hummingbird's has the extension.
  static func type(of file: String) -> String? {
    let name = file.split(separator: "/").last ?? ""
    guard let dot = name.lastIndex(of: ".") else { return nil }
    let end = name[name.index(after: dot)...].lowercased()
    let type = table[end] ?? MediaType.getMediaType(forExtension: end)?.description
    return type.map { $0.hasPrefix("text/") ? $0 + "; charset=utf-8" : $0 }
  }

  private static let table = [
    // Pages and what belongs to them.
    "html": "text/html", "htm": "text/html", "xhtml": "application/xhtml+xml", "css": "text/css",
    "js": "text/javascript", "mjs": "text/javascript", "cjs": "text/javascript", "json": "application/json",
    "map": "application/json", "webmanifest": "application/manifest+json", "wasm": "application/wasm",
    "jsonld": "application/ld+json", "geojson": "application/geo+json",
    // Text.
    "txt": "text/plain", "log": "text/plain", "md": "text/markdown", "markdown": "text/markdown",
    "csv": "text/csv",
    "xml": "application/xml", "rss": "application/rss+xml", "atom": "application/atom+xml",
    "yaml": "application/yaml", "yml": "application/yaml", "toml": "application/toml", "vtt": "text/vtt",
    "ics": "text/calendar", "vcf": "text/vcard",
    // Pictures.
    "svg": "image/svg+xml", "png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "gif": "image/gif",
    "webp": "image/webp", "avif": "image/avif", "apng": "image/apng", "bmp": "image/bmp", "tif": "image/tiff",
    "tiff": "image/tiff", "ico": "image/x-icon",
    // Sound and film.
    "mp3": "audio/mpeg", "m4a": "audio/mp4", "aac": "audio/aac", "ogg": "audio/ogg", "oga": "audio/ogg",
    "opus": "audio/ogg", "wav": "audio/wav", "flac": "audio/flac", "weba": "audio/webm", "mp4": "video/mp4",
    "m4v": "video/mp4", "webm": "video/webm", "mov": "video/quicktime", "ogv": "video/ogg",
    "m3u8": "application/vnd.apple.mpegurl", "ts": "video/mp2t", "mpd": "application/dash+xml",
    // Fonts.
    "woff": "font/woff", "woff2": "font/woff2", "ttf": "font/ttf", "otf": "font/otf",
    "eot": "application/vnd.ms-fontobject",
    // Documents, models and archives.
    "pdf": "application/pdf", "glb": "model/gltf-binary", "gltf": "model/gltf+json", "zip": "application/zip",
    "gz": "application/gzip", "tar": "application/x-tar", "7z": "application/x-7z-compressed",
    "bin": "application/octet-stream",
  ]
}
