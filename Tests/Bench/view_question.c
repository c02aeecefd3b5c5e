// A view's server for measurements: answers each POST at once. argv: port-or-path keep|close
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <arpa/inet.h>
static char buf[1024][70000]; static int len[1024];
int main(int c, char **v) {
  int unixs = v[1][0] == '/', keep = !strcmp(v[2], "keep"), one = 1, l;
  if (unixs) { struct sockaddr_un a = {.sun_family = AF_UNIX}; strcpy(a.sun_path, v[1]); unlink(v[1]); l = socket(AF_UNIX, SOCK_STREAM, 0); if (bind(l, (void *)&a, sizeof a)) return 1; }
  else { struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(atoi(v[1])), .sin_addr = {htonl(INADDR_LOOPBACK)}}; l = socket(AF_INET, SOCK_STREAM, 0); setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &one, 4); if (bind(l, (void *)&a, sizeof a)) return 1; }
  listen(l, 4096);
  int e = epoll_create1(0); struct epoll_event ev = {.events = EPOLLIN, .data.fd = l}, evs[64]; epoll_ctl(e, EPOLL_CTL_ADD, l, &ev);
  const char *body = "{\"do\": [{\"send\": {\"json\": {\"message\": \"hello\"}}}], \"state\": {\"count\": 1}}";
  char ans[600]; int n = sprintf(ans, "HTTP/1.1 200 OK\r\nServer: gunicorn\r\nDate: Sun, 29 Nov 2026 20:00:00 GMT\r\nConnection: %s\r\nContent-Type: application/json\r\nX-Frame-Options: DENY\r\nContent-Length: %zu\r\nVary: Cookie\r\nX-Content-Type-Options: nosniff\r\nReferrer-Policy: same-origin\r\nCross-Origin-Opener-Policy: same-origin\r\n\r\n%s", keep ? "keep-alive" : "close", strlen(body), body);
  for (;;) { int k = epoll_wait(e, evs, 64, -1);
    for (int i = 0; i < k; i++) { int f = evs[i].data.fd;
      if (f == l) { int s = accept(l, 0, 0); if (s < 0) continue; if (s >= 1024) { close(s); continue; } len[s] = 0; ev.data.fd = s; epoll_ctl(e, EPOLL_CTL_ADD, s, &ev); continue; }
      int r = recv(f, buf[f] + len[f], sizeof buf[f] - len[f] - 1, 0); if (r <= 0) { close(f); continue; }
      len[f] += r; buf[f][len[f]] = 0; char *h = strstr(buf[f], "\r\n\r\n"); if (!h) continue;
      char *cl = strcasestr(buf[f], "content-length:"); int need = (h + 4 - buf[f]) + (cl && cl < h ? atoi(cl + 15) : 0); if (len[f] < need) continue;
      len[f] = 0; send(f, ans, n, MSG_NOSIGNAL); if (!keep) close(f); } } }
