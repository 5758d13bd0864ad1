# shellcheck shell=bash
# deploy/compose.yaml, run once with the image that is here, as its head says. Prometheus and Grafana are other people's
# images, and not run.

build() {
  need_root "it runs containers"
  need podman "apt-get install podman"
  need runc "apt-get install runc"
  need podman-compose "pip install podman-compose"
  need openssl "apt-get install openssl"
  local image=$out/frontdesk-$version-$debian_arch.oci.tar deploy=$work/compose/deploy answer
  [ -f "$image" ] || fail "compose needs $image: release/build image"
  storage podman load --quiet --input "$image" >/dev/null
  cp -r deploy "$deploy"
  (
    umask 077
    mkdir "$deploy/secrets"
    echo "FRONTDESK_VERSION=$version" > "$deploy/.env"
    echo "WEBHOOK_SECRET=$(openssl rand -hex 32)" > "$deploy/secrets/frontdesk.env"
    openssl rand -hex 32 > "$deploy/secrets/operations-token"
    openssl rand -hex 16 > "$deploy/secrets/grafana-password"
    chmod 0444 "$deploy"/secrets/*
  )
  openssl genpkey -algorithm ed25519 2>/dev/null | openssl pkey -pubout -out "$deploy/context.pub"
  # A port that is free, and limits for machines where containers are nested.
  sed -i -e "s|127.0.0.1:8080:8080|127.0.0.1:$(free_port):8080|" -e 's|nofile: 65536|nofile: 20000|' "$deploy/compose.yaml"

  composed run --rm -T frontdesk check
  composed up --detach frontdesk
  answer=$(until_it_answers "http://127.0.0.1:$(sed -n 's/.*"127.0.0.1:\([0-9]*\):8080".*/\1/p' "$deploy/compose.yaml")/livez")
  say "/livez: $answer"
  composed exec -T frontdesk /usr/local/bin/frontdesk events list --state dead
  composed down --volumes
}

composed() {
  (cd "$work/compose/deploy" && env -u FRONTDESK_IMAGE podman-compose --podman-args="--root $work/containers --runroot $work/containers-run --runtime runc" \
    --podman-run-args="--ulimit nproc=1000:1000" "$@")
}
