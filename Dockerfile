# Images of the programs, one target each: coredns, mcs-controller, mcsctl.
#
#   docker build --target coredns --build-arg VERSION=v1.2.3 -t coredns-multicluster:v1.2.3 .
#
# Both base images are arguments. The build stage needs nothing of GO_IMAGE but the Go toolchain, not even a shell; the final
# stage needs nothing of BASE_IMAGE at all, so that `scratch` does. Programs are cross-compiled on the machine that builds;
# nothing of the target platform is ever run. deploy/image/build.sh calls this, also where no registry can be reached.
ARG GO_IMAGE=docker.io/library/golang:1.26.8
ARG BASE_IMAGE=gcr.io/distroless/static-debian12:nonroot

FROM --platform=$BUILDPLATFORM ${GO_IMAGE} AS source
ENV GOPATH=/go GOCACHE=/go/cache GOTOOLCHAIN=local CGO_ENABLED=0
# The toolchain wants a place for temporary files.
WORKDIR /tmp
WORKDIR /src
ARG GOPROXY
COPY go.mod go.sum ./
RUN ["/usr/local/go/bin/go", "mod", "download"]
COPY . .

FROM source AS build-coredns
# Runs here, so it is built before GOARCH says otherwise.
RUN ["/usr/local/go/bin/go", "build", "-o", "/netbind", "./deploy/image/netbind"]
ARG TARGETOS
ARG TARGETARCH
ARG VERSION=unknown
ENV GOOS=$TARGETOS GOARCH=$TARGETARCH \
    GOFLAGS="-trimpath -buildvcs=false '-ldflags=-s -w -X github.com/coredns/coredns/coremain.GitCommit=${VERSION}'"
RUN ["/usr/local/go/bin/go", "build", "-o", "/out/coredns", "./cmd/coredns"]
# CoreDNS listens on port 53 without being root: a capability of the file, as in the stock image.
RUN ["/netbind", "/out/coredns"]

FROM source AS build-mcs-controller
ARG TARGETOS
ARG TARGETARCH
ARG VERSION=unknown
ENV GOOS=$TARGETOS GOARCH=$TARGETARCH \
    GOFLAGS="-trimpath -buildvcs=false '-ldflags=-s -w -X main.version=${VERSION}'"
RUN ["/usr/local/go/bin/go", "build", "-o", "/out/mcs-controller", "./cmd/mcs-controller"]

FROM source AS build-mcsctl
ARG TARGETOS
ARG TARGETARCH
ARG VERSION=unknown
ENV GOOS=$TARGETOS GOARCH=$TARGETARCH \
    GOFLAGS="-trimpath -buildvcs=false '-ldflags=-s -w -X main.version=${VERSION}'"
RUN ["/usr/local/go/bin/go", "build", "-o", "/out/mcsctl", "./cmd/mcsctl"]

FROM ${BASE_IMAGE} AS coredns
ARG VERSION=unknown
LABEL org.opencontainers.image.title="coredns with multicluster" \
      org.opencontainers.image.description="Stock CoreDNS plus the plugin multicluster, which answers for a clusterset" \
      org.opencontainers.image.source="https://github.com/clusterset/multicluster" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}"
COPY --from=build-coredns /out/coredns /coredns
# A number, so that Kubernetes can see that it isn't root (runAsNonRoot).
USER 65532:65532
WORKDIR /
EXPOSE 53/udp 53/tcp
ENTRYPOINT ["/coredns"]

FROM ${BASE_IMAGE} AS mcs-controller
ARG VERSION=unknown
LABEL org.opencontainers.image.title="mcs-controller" \
      org.opencontainers.image.description="Copies exported Services of a clusterset into the clusters that import them" \
      org.opencontainers.image.source="https://github.com/clusterset/multicluster" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}"
COPY --from=build-mcs-controller /out/mcs-controller /mcs-controller
USER 65532:65532
WORKDIR /
ENTRYPOINT ["/mcs-controller"]

FROM ${BASE_IMAGE} AS mcsctl
ARG VERSION=unknown
LABEL org.opencontainers.image.title="mcsctl" \
      org.opencontainers.image.description="Joins clusters to a clusterset, and explains why a name does not resolve" \
      org.opencontainers.image.source="https://github.com/clusterset/multicluster" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}"
COPY --from=build-mcsctl /out/mcsctl /mcsctl
USER 65532:65532
WORKDIR /
ENTRYPOINT ["/mcsctl"]
