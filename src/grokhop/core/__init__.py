"""What every stage needs and no stage owns: errors, folders, formatting, statistics, parallel work, endpoints."""
