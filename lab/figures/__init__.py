"""A figure: charts of logs, pictures of digits, titles and fonts."""
