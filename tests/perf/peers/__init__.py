"""What bench_server measures our server against."""
